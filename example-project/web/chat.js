// A chat with the functions of this project, made with ChatKitty's client. `ckfunc dev` serves it at /web/.
import { getSdkClient } from '/chat-client.js';

// On the real platform this is getSdkClient(API_KEY).
const chat = getSdkClient('emulator', {
  $environment: { host: location.host, secure: location.protocol === 'https:' },
});

const $ = (selector) => document.querySelector(selector);
const channels = new Map();
let channel, session;

$('#connect').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, displayName, staffCode } = Object.fromEntries(new FormData(event.target));
  // Starts the function user.attempted.start_session, which creates the user, or denies the session.
  const result = await chat.startSession({
    username,
    authParams: { displayName: displayName || username, ...(staffCode && { staffCode }) },
  });
  if (result.failed) {
    $('.error').textContent = result.error.message;
    return chat.endSession();
  }
  $('#connect').hidden = true;
  $('#chat').hidden = false;
  document.title = `${username} · Deskline`;
  $('#state').textContent = 'online';
  chat.onCurrentUserOnline(() => {
    $('#state').textContent = 'online';
    if (channel) load(); // messages sent in the meantime
  });
  chat.onCurrentUserOffline(() => ($('#state').textContent = 'connecting'));
  chat.onChannelJoined(add);
  chat.onNotificationReceived((notification) => ($('#state').textContent = notification.title));

  const { paginator } = await chat.listChannels({ filter: { joined: true } });
  paginator.items.forEach(add);
});

function add(added) {
  if (channels.has(added.id)) return;
  channels.set(added.id, added);
  $('#channels').append(new Option(added.displayName ?? added.members.map((user) => user.displayName).join(', '), added.id));
  if (!channel) open(added);
}

$('#channels').addEventListener('change', (event) => open(channels.get(Number(event.target.value))));

// Shows a channel. Its chat session starts the function user.started.chat_session.
async function open(opened) {
  session?.end();
  channel = opened;
  $('#messages').replaceChildren();
  $('#typing').textContent = '';
  session = chat.startChatSession({
    channel,
    onMessageReceived: show,
    onMessageUpdated: show,
    onMessageDeleted: (message) => $(`#message-${message.id}`)?.remove(),
    onTypingStarted: (user) => user.name !== me() && ($('#typing').textContent = `${user.displayName} is typing …`),
    onTypingStopped: () => ($('#typing').textContent = ''),
  }).session;
  await load();
}

// Shows the messages so far. The client subscribes to new ones before it receives the first answer, so none is missed.
async function load() {
  const loaded = channel;
  await chat.readChannel({ channel: loaded });
  const { paginator } = await chat.listMessages({ channel: loaded });
  if (channel !== loaded) return;
  $('#messages').replaceChildren();
  paginator.items.reverse().forEach(show);
}

const me = () => new FormData($('#connect')).get('username');

function show(message) {
  if (message.channelId !== channel.id) return;
  const item = document.createElement('li');
  item.id = `message-${message.id}`;
  item.className = message.user?.name === me() ? 'own' : message.user ? '' : 'system';
  const meta = document.createElement('span');
  meta.className = 'meta';
  const time = new Date(message.createdTime).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  meta.textContent = `${message.user?.displayName ?? 'Deskline'} · ${time}`;
  item.append(meta, message.file ? link(message.file) : message.body);
  const before = document.getElementById(item.id);
  if (before) before.replaceWith(item);
  else $('#messages').append(item);
  item.scrollIntoView();
  if (item.className !== 'own') chat.readMessage({ message });
}

const link = (file) =>
  Object.assign(document.createElement('a'), { href: file.url, textContent: file.name, target: '_blank' });

$('#send').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { body } = event.target.elements;
  if (!body.value.trim()) return;
  // Starts the function user.sent.message, whose answer arrives as a message of the system.
  const sent = chat.sendMessage({ channel, body: body.value });
  body.value = '';
  report(await sent);
});

$('#send').elements.body.addEventListener('input', (event) => chat.sendKeystrokes({ channel, keys: event.target.value }));

$('#send').querySelector('[type=file]').addEventListener('change', async (event) => {
  const [file] = event.target.files;
  if (file) report(await chat.sendMessage({ channel, file }));
  event.target.value = '';
});

function report(result) {
  if (result.failed) $('#typing').textContent = result.error.message;
}
