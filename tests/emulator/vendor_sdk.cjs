// Calls a running emulator through one of the vendor's own packages, unmodified, and writes each answer as a line of JSON.
// Arguments: the package's name, the directory that it is installed in, the emulator's address, "camel" or "snake".
const { createRequire } = require('node:module');
const [name, directory, url, dialect] = process.argv.slice(2);
const { ChatKitty } = createRequire(`${directory}/`)(name);

const sdk = new ChatKitty({
  clientId: 'emulator',
  clientSecret: 'emulator',
  basePath: url,
  authorizationBasePath: `${url}/oauth/token`,
});
const api = (family) => sdk[family] ?? sdk[`${family}Api`];
const spelled = (camel, snake, value) => ({ [dialect === 'camel' ? camel : snake]: value });

async function step(label, call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    if (!error.response) throw error;
    answer = error.response;
  }
  console.log(JSON.stringify({ label, status: answer.status, data: answer.data ?? null }));
  return answer.data;
}

async function main() {
  const users = api('Users');
  const channels = api('Channels');
  const messages = api('Messages');
  const runtime = api('Runtime');
  const functions = api('Functions');

  const person = (name) => ({
    name,
    ...spelled('displayName', 'display_name', `The ${name}`),
    ...spelled('isGuest', 'is_guest', name === 'bob'),
    properties: { camelKey: 1, snake_key: 2 },
  });
  const ann = await step('createUser', () => users.createUser(person('ann')));
  const bob = await step('createUser guest', () => users.createUser(person('bob')));
  await step('createUser taken', () => users.createUser(person('ann')));
  await step('checkUserExists', () => users.checkUserExists('ann'));
  await step('checkUserExists missing', () => users.checkUserExists('nobody'));
  await step('retrieveUser', () => users.retrieveUser(ann.id));
  await step('retrieveUser missing', () => users.retrieveUser(999));
  await step('updateUser', () => users.updateUser(ann.id, spelled('displayName', 'display_name', 'Ann')));
  await step('listUsers', () => users.listUsers(0, 1, ['name,desc', 'id']));
  await step('listUsers by name', () => users.listUsers(undefined, undefined, undefined, 'ann'));

  const channel = await step('createChannel', () =>
    channels.createChannel({
      type: 'PUBLIC',
      name: 'general',
      ...spelled('displayName', 'display_name', 'General'),
      creator: { username: 'ann' },
      members: [{ id: bob.id }],
    }),
  );
  await step('createChannel again', () => channels.createChannel({ type: 'PUBLIC', name: 'general' }));
  await step('createChannel direct', () =>
    channels.createChannel({ type: 'DIRECT', members: [{ username: 'ann' }, { username: 'bob' }] }),
  );
  await step('retrieveChannel', () => channels.retrieveChannel(channel.id));
  await step('updateChannel', () => channels.updateChannel(channel.id, { properties: { a: 1 } }));
  await step('listChannels', () => channels.listChannels(0, 5, ['id,desc'], 'PUBLIC', new Set(['ann', 'bob'])));
  await step('listChannelMembers', () => channels.listChannelMembers(channel.id, 0, 10));
  await step('removeChannelMember', () => channels.removeChannelMember(channel.id, bob.id));
  await step('addChannelMember', () => channels.addChannelMember(channel.id, { username: 'bob' }));
  await step('listUserChannels', () => users.listUserChannels(bob.id));

  const sent = await step('sendChannelMessage', () =>
    channels.sendChannelMessage(channel.id, { type: 'TEXT', body: 'hi', user: { username: 'ann' } }),
  );
  await step('sendChannelMessage system file', () =>
    channels.sendChannelMessage(channel.id, {
      type: 'FILE',
      file: {
        url: 'https://example.com/a.txt',
        name: 'a.txt',
        ...spelled('contentType', 'content_type', 'text/plain'),
        size: 3,
      },
      ...spelled('groupTag', 'group_tag', 'g'),
    }),
  );
  await step('retrieveMessage', () => messages.retrieveMessage(sent.id));
  await step('updateMessage', () => messages.updateMessage(sent.id, { body: 'edited' }));
  const first = await step('listChannelMessages', () => channels.listChannelMessages(channel.id, 1));
  const { start, next } = first.page;
  await step('listChannelMessages next', () =>
    channels.listChannelMessages(channel.id, 1, Number(start), Number(next), 'NEXT'),
  );
  await step('listMessages', () => messages.listMessages(5, undefined, undefined, undefined, 'ann', 'EDIT'));
  await step('listUserNotifications', () => users.listUserNotifications(bob.id, 10));

  await step('updateNodejsRuntimeEnvironmentVariables', () =>
    runtime.updateNodejsRuntimeEnvironmentVariables({ camelName: 'a', SNAKE_NAME: 'b' }),
  );
  await step('retrieveNodejsRuntime', () => runtime.retrieveNodejsRuntime());
  const made = await step('createNodejsRuntimeFunction', () =>
    runtime.createNodejsRuntimeFunction({
      type: 'user.read.message',
      name: 'Reads',
      ...spelled('initializeAsynchronously', 'initialize_asynchronously', false),
    }),
  );
  const version = await step('createFunctionVersion', () =>
    functions.createFunctionVersion(made.id, spelled('handlerScript', 'handler_script', 'function handleEvent() {}')),
  );
  await step('retrieveFunction', () => functions.retrieveFunction(made.id));
  await step('retrieveFunctionCurrentVersion', () => functions.retrieveFunctionCurrentVersion(made.id));
  await step('retrieveFunctionVersion', () => api('FunctionVersions').retrieveFunctionVersion(version.id));
  await step('listFunctionVersions', () => functions.listFunctionVersions(made.id, 0, 5, ['id,desc']));
  await step('listFunctionInvocations', () => functions.listFunctionInvocations(made.id));
  await step('listNodejsRuntimeFunctions', () => runtime.listNodejsRuntimeFunctions());
}

main();
