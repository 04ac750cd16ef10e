// Calls every method of one of the vendor's own npm packages, unmodified, on a running emulator, and prints each response as a line of JSON.
// Arguments: the package's name, the directory that it is installed in, the emulator's address, "camel" or "snake".
const { createRequire } = require('node:module');
const { createReadStream, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const [name, directory, url, dialect] = process.argv.slice(2);
const load = createRequire(`${directory}/`);
const vendor = load(name);

const sdk = new vendor.ChatKitty({
  clientId: 'emulator',
  clientSecret: 'emulator',
  basePath: url,
  authorizationBasePath: `${url}/oauth/token`,
});

// Operations whose methods have other names in the newer package.
const RENAMED = {
  retrieveAuthenticatedApplication: 'retrieveApplication',
  retrieveAuthenticatedApplicationSettings: 'retrieveApplicationSettings',
  updateAuthenticatedApplicationSettings: 'updateApplicationSettings',
};

// Every method of every family, with its object. ChatKitty of the older package lacks two families that the package exports.
// It sends files from Node only if its configuration has a suitable class for forms, and it does not send the boundary of a
// form: the boundary is set here, and again in the header of each call.
const BOUNDARY = 'conformance';
const apis = Object.values(sdk).filter((one) => one?.axios);
if (dialect === 'camel') {
  const { accessToken } = sdk.apiConfiguration;
  const FormData = createRequire(load.resolve(name))('form-data');
  class Form extends FormData {
    getBoundary() {
      return BOUNDARY;
    }
  }
  const uploading = new vendor.Configuration({ basePath: url, accessToken, formDataCtor: Form });
  apis.push(new vendor.ChatSessionsApi(sdk.apiConfiguration), new vendor.UserSessionsApi(sdk.apiConfiguration));
  apis.push(new vendor.ImportsApi(uploading));
}
const methods = new Map();
for (const api of apis) {
  for (const one of Object.getOwnPropertyNames(Object.getPrototypeOf(api))) {
    if (one !== 'constructor') methods.set(one, api);
  }
}

const write = (line) => console.log(JSON.stringify(line));

// Calls the method of an operation, if the package has one; `label` distinguishes several calls of one operation.
async function call(operation, args = [], label = '') {
  const method = methods.has(operation) ? operation : RENAMED[operation];
  if (!methods.has(method)) return undefined;
  let line;
  try {
    const { status, data } = await methods.get(method)[method](...args);
    line = { status, data: data === '' ? null : data };
  } catch (error) {
    line = error.response
      ? { status: error.response.status, data: error.response.data === '' ? null : error.response.data }
      : { status: 0, data: null, error: String(error) };
  }
  write({ operation, method, label, ...line });
  return line.data ?? {};
}

const snake = (text) => text.replace(/(?<=[a-z0-9])[A-Z]/g, (one) => `_${one.toLowerCase()}`);

// Converts field names to the spelling of this package's types, except for user data in `properties`.
function body(value) {
  if (Array.isArray(value)) return value.map(body);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      dialect === 'snake' ? snake(key) : key,
      key === 'properties' ? one : body(one),
    ]),
  );
}

const scratch = mkdtempSync(join(tmpdir(), 'conformance-'));

// A file to upload in the form that this package accepts: a browser's File, or a stream and a header.
function file(entries) {
  const text = JSON.stringify(body(entries));
  if (dialect === 'snake') return [new File([text], 'import.json', { type: 'application/json' })];
  const path = join(scratch, 'import.json');
  writeFileSync(path, text);
  return [createReadStream(path), { headers: { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` } }];
}

// Repeats a call without printing its responses until `done` returns true; the test limits the time.
async function until(operation, args, done) {
  for (;;) {
    const { data } = await methods.get(operation)[operation](...args);
    if (done(data)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function users() {
  const person = (one) => body({ name: one, displayName: `The ${one}`, isGuest: one === 'bob', properties: { camelKey: 1, snake_key: 2 } });
  const ann = await call('createUser', [person('ann')]);
  const bob = await call('createUser', [person('bob')], 'guest');
  await call('createUser', [person('ann')], 'taken');
  await call('checkUserExists', ['ann']);
  await call('checkUserExists', ['nobody'], 'missing');
  await call('retrieveUser', [ann.id]);
  await call('retrieveUser', [999_999], 'missing');
  await call('updateUser', [ann.id, body({ displayName: 'Ann', presence: { status: 'AVAILABLE' } })]);
  await call('listUsers', [0, 1, ['name,desc', 'id']]);
  await call('listUsers', [undefined, undefined, undefined, 'ann'], 'by name');
  const picture = { url: 'https://example.com/ann.png', name: 'ann.png', contentType: 'image/png', size: 3 };
  await call('updateUserDisplayPicture', [ann.id, body(picture)]);
  await call('setUserSecret', [ann.id, 'token', { secret: 'My secret' }]);
  await call('retrieveUserSecret', [ann.id, 'token']);
  await call('retrieveUserSecret', [ann.id, 'other'], 'missing');
  await call('removeUserSecret', [ann.id, 'token']);
  return { ann, bob };
}

async function application() {
  await call('retrieveAuthenticatedApplication');
  await call('updateAuthenticatedApplicationSettings', [body({ guestUsers: 'DISABLED', userCreatedChannels: 'ENABLED' })]);
  await call('retrieveAuthenticatedApplicationSettings');
}

async function channels({ ann, bob }) {
  const general = await call('createChannel', [
    body({ type: 'PUBLIC', name: 'general', displayName: 'General', creator: { username: 'ann' }, members: [{ id: bob.id }] }),
  ]);
  await call('createChannel', [{ type: 'PUBLIC', name: 'general' }], 'again');
  await call('createChannel', [body({ type: 'PRIVATE', name: 'staff', displayName: 'Staff' })], 'private');
  await call('createChannel', [{ type: 'DIRECT', members: [{ username: 'ann' }, { username: 'bob' }] }], 'direct');
  await call('retrieveChannel', [general.id]);
  await call('updateChannel', [general.id, { properties: { a: 1 } }]);
  await call('listChannels', [0, 5, ['id,desc'], 'PUBLIC', new Set(['ann', 'bob'])]);
  await call('listChannelMembers', [general.id, 0, 10]);
  await call('listChannelMemberships', [general.id]);
  await call('removeChannelMember', [general.id, bob.id]);
  await call('addChannelMember', [general.id, { username: 'bob' }]);
  await call('addChannelModerator', [general.id, { id: ann.id }]);
  await call('listChannelModerators', [general.id]);
  await call('removeChannelModerator', [general.id, ann.id]);
  const cat = await call('createUser', [body({ name: 'cat', displayName: 'Cat', isGuest: false })], 'invited');
  await call('sendChannelInvite', [general.id, { user: { id: cat.id } }]);
  await call('listChannelInvites', [general.id]);
  await call('sendChannelEvent', [general.id, { type: 'game.started', properties: { camelKey: 1 } }]);
  await call('sendChannelKeystrokes', [general.id, { keys: 'hel', user: { username: 'bob' } }]);
  await call('listUserChannels', [bob.id]);
  return general;
}

async function messages({ ann, bob }, general) {
  const sent = await call('sendChannelMessage', [general.id, { type: 'TEXT', body: 'hi', user: { username: 'ann' } }]);
  const external = { url: 'https://example.com/a.txt', name: 'a.txt', contentType: 'text/plain', size: 3 };
  await call('sendChannelMessage', [general.id, body({ type: 'FILE', file: external, groupTag: 'g' })], 'system file');
  await call('retrieveMessage', [sent.id]);
  await call('updateMessage', [sent.id, { body: 'edited' }]);
  const first = await call('listChannelMessages', [general.id, 1]);
  const { start, next } = first.page ?? {};
  await call('listChannelMessages', [general.id, 1, Number(start), Number(next), 'NEXT'], 'next');
  await call('listMessages', [5, undefined, undefined, undefined, 'ann', 'EDIT']);
  await call('listUserMessages', [bob.id, 5]);
  await call('listUserMessages', [bob.id, 5, undefined, undefined, undefined, true], 'unread');
  await call('listUserNotifications', [bob.id, 10]);
  await call('retrieveThread', [sent.id]);
  await call('sendThreadMessage', [sent.id, { type: 'TEXT', body: 'a reply', user: { id: bob.id } }]);
  await call('listThreadMessages', [sent.id, 5]);
  await call('sendThreadKeystrokes', [sent.id, { keys: 'wel', user: { id: ann.id } }]);
  await call('countUserUnreadMessages', [bob.id]);
  await call('retrieveApplicationMessageReadReceiptSummaries', [{ page: 0, size: 5 }]);
}

async function runtime() {
  await call('retrieveNodejsRuntime');
  await call('updateNodejsRuntimeEnvironmentVariables', [{ camelName: 'a', SNAKE_NAME: 'b' }]);
  await call('updateNodejsRuntimeInitializationScript', [{ script: 'export const greeting = "hello";' }]);
  const made = await call('createNodejsRuntimeFunction', [
    body({ type: 'system.triggered.event', name: 'Events', initializeAsynchronously: false }),
  ]);
  const script = 'function handleEvent(event) { return greeting + " " + event.event.type; }';
  const version = await call('createFunctionVersion', [made.id, body({ handlerScript: script })]);
  await call('retrieveFunction', [made.id]);
  await call('retrieveFunctionCurrentVersion', [made.id]);
  await call('retrieveFunctionVersion', [version.id]);
  await call('listFunctionVersions', [made.id, 0, 5, ['id,desc']]);
  await call('listNodejsRuntimeFunctions');
  return made;
}

async function invocations(made, general) {
  await methods.get('sendChannelEvent').sendChannelEvent(general.id, { type: 'x', properties: {} });
  await until('listFunctionInvocations', [made.id], (page) => page._embedded.invocations.some((one) => one.status !== 'RUNNING'));
  await call('listFunctionInvocations', [made.id]);
  // This is the last call, because later runs would install this package first.
  await call('updateNodejsRuntimeDependencies', [body([{ name: 'ms', version: '^2.1.3', defaultDependency: false }])]);
}

async function finished(job) {
  await until('retrieveJob', [job.id], ({ state }) => state === 'FINISHED' || state === 'FAILED');
}

async function jobs(general) {
  const user = { name: 'imported', displayName: 'Imported', guest: false, idempotencyKey: 'u' };
  const channel = { type: 'PUBLIC', name: 'imported', displayName: 'Imported', idempotencyKey: 'c' };
  const member = { username: 'imported', idempotencyKey: 'm' };
  const message = { type: 'TEXT', channelId: general.id, body: 'x', user: 'imported', idempotencyKey: 't' };
  const started = [await call('importUsers', file([user])), await call('importChannels', file([channel]))];
  for (const job of started) await finished(job);
  started.push(
    await call('importChannelMembers', [general.id, ...file([member])]),
    await call('importMessages', file([message])),
    await call('exportMessageAnalytics'),
    await call('exportUserAnalytics'),
  );
  for (const job of started.filter(Boolean)) await finished(job);
  await call('retrieveJob', [started[0].id]);
  await call('listJobs', [0, 10, ['id,asc'], false]);
}

// Data that only chat clients create already exists: the user dan has a session in the channel `lobby`, and read and
// reported a message there.
async function lobby() {
  const { data } = await methods.get('listChannels').listChannels(0, 1, undefined, undefined, new Set(['dan']));
  const { id } = data._embedded.channels[0];
  const page = (await methods.get('listChannelMessages').listChannelMessages(id, 1)).data;
  await call('listUserSessions', [0, 5, undefined, 'ACTIVE']);
  await call('listChatSessions', [0, 5, undefined, 'ACTIVE']);
  await call('listChannelParticipants', [id]);
  await call('listMessageReadReceipts', [page._embedded.messages[0].id]);
  await call('listChannelReportedMessages', [id]);
}

async function deletions({ ann }, general) {
  const sent = await call('sendChannelMessage', [general.id, { type: 'TEXT', body: 'bye' }], 'system text');
  await call('deleteMessage', [sent.id]);
  await call('deleteMessages');
  await call('deleteChannel', [general.id]);
  await call('deleteUser', [ann.id]);
}

async function main() {
  write({ methods: [...methods.keys()] });
  const people = await users();
  await application();
  const general = await channels(people);
  await messages(people, general);
  const made = await runtime();
  const later = async (task) => task().catch((error) => write({ failure: String(error?.stack ?? error) }));
  await later(() => invocations(made, general));
  await later(() => jobs(general));
  await later(() => lobby());
  await deletions(people, general);
}

main().finally(() => rmSync(scratch, { recursive: true }));
