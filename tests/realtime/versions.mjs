// Two clients of different versions talk. Arguments: the bundle of 1.x, the bundle of 2.x, the emulator's host and port.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const [first, second, host] = process.argv.slice(2);
const { ChatKitty } = await import(pathToFileURL(first));
const { getSdkClient } = await import(pathToFileURL(second));
const ann = new ChatKitty({ apiKey: 'emulator', host, isSecure: false });
const bob = getSdkClient('emulator', { $environment: { host, secure: false } });

function succeeded(result) {
  assert(result.succeeded, JSON.stringify(result.error));
  return result;
}

// Returns the first message that a user receives with this text.
const heard = (client, channel) => {
  const found = new Map();
  const wanted = (text) => found.get(text) ?? found.set(text, Promise.withResolvers()).get(text);
  succeeded(client.startChatSession({ channel, onMessageReceived: (message) => wanted(message.body).resolve(message) }));
  return (text) => wanted(text).promise;
};

const denied = await bob.startSession({ username: 'bob', authParams: { code: 'wrong' } });
assert.equal(denied.failed, true);
assert.equal(denied.error.error, 'AccessDeniedError');
assert.match(denied.error.message, /not the code of bob/);
succeeded(await ann.startSession({ username: 'ann', authParams: { code: 'right' } }));
succeeded(await bob.startSession({ username: 'bob', authParams: { code: 'right' } }));

const { channel } = succeeded(await ann.createChannel({ type: 'PUBLIC', name: 'team', members: [{ username: 'bob' }] }));
const annHears = heard(ann, channel);
const bobHears = heard(bob, succeeded(await bob.retrieveChannel(channel.id)).channel);
for (const client of [ann, bob, ann, bob]) succeeded(await client.retrieveCurrentUser());
const sent = succeeded(await ann.sendMessage({ channel, body: 'from 1.x' })).message;
assert.equal((await bobHears('from 1.x')).id, sent.id);
succeeded(await bob.sendMessage({ channel, body: 'from 2.x' }));
assert.equal((await annHears('from 2.x')).user.name, 'bob');
assert.equal((await annHears('answer to bob: from 2.x')).type, 'SYSTEM_TEXT');
await Promise.all([ann, bob].map((client) => client.endSession()));
console.log('done');
