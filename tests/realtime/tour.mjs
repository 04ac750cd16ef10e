// A conversation of three users that calls every method of one of the vendor's clients. It runs in Node and in a browser.
// The world has the users ann, bob and cat, and the public channel "archive" with 60 messages, of which ann and bob are members.

const STEP_MS = 20_000;
const RESTART_MS = 120_000;

// Links that a client reads, by resource. The clients 1.x read fewer.
const LINKS = {
  currentUser: {
    _relays:
      'self readFileAccessGrant writeFileAccessGrant channelsCount channels messages joinableChannels unreadChannelsCount unreadChannels unreadMessagesCount contactsCount contacts userBlockedRecords userBlockListItems',
    _topics:
      'self elements features styles channels messages readReceipts notifications contacts participants users reactions threads calls',
    _actions: 'update delete createChannel updateDisplayPicture',
    _streams: 'displayPicture',
  },
  user: { _relays: 'self channelMember', _actions: 'block delete' },
  channel: {
    _relays:
      'self context messages messagesCount lastReceivedMessage lastReadMessage unread members threads calls blockRecords moderators',
    _topics: 'self messages keystrokes typing participants readReceipts reactions events members blockRecords moderators',
    _actions: 'message keystrokes read mute call triggerEvent update delete clearHistory hide createThread block',
    _streams: 'messages',
  },
  message: {
    _relays: 'self channel readReceipts repliesCount reportCount replies reactions reports',
    _actions: 'read unread reply deleteForMe delete react edit report removeReport removeReaction updateProperties',
    _streams: 'replies',
  },
  thread: {
    _relays: 'channel message',
    _topics: 'self messages keystrokes typing',
    _actions: 'message keystrokes read',
    _streams: 'messages',
  },
  reaction: { _relays: 'message' },
  receipt: { _relays: 'message' },
  event: { _relays: 'channel' },
  keystrokes: { _relays: 'thread user' },
  record: { _actions: 'delete' },
};

const FIELDS = {
  currentUser: 'id name displayName displayPictureUrl isGuest presence properties',
  user: 'id name displayName displayPictureUrl isGuest presence properties',
  channel: 'id type createdTime properties',
  message: 'id type channelId createdTime properties user',
  thread: 'id type properties createdTime',
  reaction: 'emoji user createdTime',
  receipt: 'user createdTime',
  event: 'type user properties',
  keystrokes: 'username keys',
  record: 'user createdTime',
  notification: 'id title body channel data muted createdTime readTime',
};

export const CALLBACKS = {
  onMessageReceived: 'message',
  onKeystrokesReceived: 'keystrokes',
  onTypingStarted: 'user',
  onTypingStopped: 'user',
  onParticipantEnteredChat: 'user',
  onParticipantLeftChat: 'user',
  onParticipantPresenceChanged: 'user',
  onEventTriggered: 'event',
  onMessageUpdated: 'message',
  onMessageDeleted: 'message',
  onChannelUpdated: 'channel',
  onMessageRead: 'message',
  onMessageUnread: 'message',
  onMessageReactionAdded: 'message',
  onMessageReactionRemoved: 'message',
  onThreadMessageReceived: 'thread',
  onThreadKeystrokesReceived: 'thread',
  onThreadTypingStarted: 'thread',
  onThreadTypingStopped: 'thread',
};
const CALLBACKS_2 = {
  onChannelDeleted: 'channel',
  onMemberJoined: 'user',
  onMemberLeft: 'user',
  onModeratorAdded: 'user',
  onModeratorDeleted: 'user',
  onMemberBlocked: 'record',
  onMemberUnblocked: 'record',
};

function assert(condition, text, ...values) {
  if (!condition) throw new Error([text, ...values.map((value) => JSON.stringify(value)?.slice(0, 300))].join(' '));
}

function equal(actual, expected, text) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(left === right, `${text}: ${left?.slice(0, 300)} instead of ${right}`);
}

// Returns a resource after checking that it has the fields and links that clients read.
function whole(kind, resource) {
  assert(resource && typeof resource === 'object', `no ${kind}:`, resource);
  const missing = FIELDS[kind].split(' ').filter((name) => resource[name] === undefined);
  for (const [group, names] of Object.entries(LINKS[kind] ?? {})) {
    for (const name of names.split(' ')) {
      if (typeof resource[group]?.[name] !== 'string') missing.push(`${group}.${name}`);
    }
  }
  assert(missing.length === 0, `a ${kind} lacks ${missing.join(', ')}`);
  return resource;
}

function succeeded(result) {
  assert(result.succeeded === true && result.failed === false, 'failed:', result.error?.message, result.error);
  return result;
}

// Received callbacks in order; `next` waits for an entry that has not been returned yet.
class Inbox {
  entries = [];
  waiting = new Set();

  listener(name) {
    return (...values) => {
      this.entries.push({ name, values });
      for (const look of [...this.waiting]) look();
    };
  }

  next(name, matches = () => true) {
    return new Promise((resolve) => {
      const look = () => {
        const index = this.entries.findIndex((entry) => entry.name === name && matches(...entry.values));
        if (index < 0) return false;
        this.waiting.delete(look);
        resolve(this.entries.splice(index, 1)[0].values);
        return true;
      };
      if (!look()) this.waiting.add(look);
    });
  }

  count(name, matches = () => true) {
    return this.entries.filter((entry) => entry.name === name && matches(...entry.values)).length;
  }
}

async function every(paginator) {
  const items = [...paginator.items];
  for (let page = paginator; page.hasNextPage; ) {
    page = await page.nextPage();
    assert(page.items.length > 0 && page.hasPrevPage, 'an empty page, or one without a way back');
    items.push(...page.items);
  }
  return items;
}

const ids = (items) => items.map((item) => item.id).sort((a, b) => a - b);

// `open` returns a client that shares no state with earlier ones; `exports` is the package. `report` receives each verdict;
// `restart` kills and restarts the emulator.
export async function tour({ open, exports, environment, report, restart }) {
  const inbox = new Inbox();
  const clients = { ann: await open(), bob: await open(), cat: await open() };
  const { ann, bob, cat } = clients;
  const has = (name) => typeof ann[name] === 'function';
  const second = has('blockChannelUser');
  const users = {};
  const channels = {};
  const messages = {};
  const sessions = {};
  const verdicts = new Map();

  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(ann)).filter((name) => name !== 'constructor');

  // Runs a step that tests the named methods and callbacks. A method passes if all of its steps pass.
  async function step(names, run, limitMs = STEP_MS) {
    let problem = '';
    let timer;
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('no answer, or no event')), STEP_MS);
      });
      await Promise.race([run(), late]);
    } catch (error) {
      problem = error.message ?? String(error);
    } finally {
      clearTimeout(timer);
    }
    for (const name of names.split(' ')) {
      verdicts.set(name, [...(verdicts.get(name) ?? []), ...(problem ? [problem] : [])]);
    }
  }

  const listen = (who, name) => clients[who][name](inbox.listener(`${who}.${name}`));
  const heard = (who, name, matches) => inbox.next(`${who}.${name}`, matches);

  async function start(who) {
    const result = succeeded(await clients[who].startSession({ username: who, authParams: { token: `${who}-token` } }));
    users[who] = whole('currentUser', result.session.user);
    equal(users[who].name, who, 'name');
    equal(users[who].presence.online, true, 'online');
  }

  function chat(who, channel) {
    const callbacks = Object.keys(second ? { ...CALLBACKS, ...CALLBACKS_2 } : CALLBACKS);
    const request = Object.fromEntries(callbacks.map((name) => [name, inbox.listener(`${who}.chat.${name}`)]));
    return succeeded(clients[who].startChatSession({ channel, ...request })).session;
  }
  const heardInChat = async (who, name, matches) => {
    const values = await heard(who, `chat.${name}`, matches);
    whole((CALLBACKS[name] ?? CALLBACKS_2[name]), values[0]);
    return values;
  };
  const is = (who) => (user) => user.name === who;

  await step('onCurrentUserChanged onCurrentUserOnline onCurrentUserOffline startSession', async () => {
    for (const name of ['onCurrentUserChanged', 'onCurrentUserOnline', 'onCurrentUserOffline']) listen('ann', name);
    await start('ann');
    await heard('ann', 'onCurrentUserOnline');
    await heard('ann', 'onCurrentUserChanged', (user) => user?.name === 'ann');
  });
  await step('retrieveCurrentUser', async () => {
    equal(whole('currentUser', succeeded(await ann.retrieveCurrentUser()).user).id, users.ann.id, 'id');
  });
  await step('updateCurrentUser onCurrentUserChanged', async () => {
    const change = { displayName: 'Ann Lee', properties: { likes: ['tea'] } };
    const user = succeeded(await ann.updateCurrentUser((old) => ({ ...old, ...change }))).user;
    equal([whole('currentUser', user).displayName, user.properties], [change.displayName, change.properties], 'user');
    await heard('ann', 'onCurrentUserChanged', (changed) => changed?.displayName === 'Ann Lee');
  });
  await step('updateCurrentUserDisplayPicture', async () => {
    const external = { url: 'https://example.com/ann.png', name: 'ann.png', contentType: 'image/png', size: 3 };
    const linked = succeeded(await ann.updateCurrentUserDisplayPicture({ file: external })).user;
    equal(linked.displayPictureUrl, external.url, 'address');
    const listener = { onStarted: () => {}, onProgress: () => {}, onCompleted: inbox.listener('picture') };
    const file = { uri: 'data:image/png;base64,aGVsbG8=', name: 'ann.png', type: 'image/png', size: 5 };
    const user = succeeded(await ann.updateCurrentUserDisplayPicture({ file, progressListener: listener })).user;
    equal(await (await fetch(user.displayPictureUrl)).text(), 'hello', 'picture');
    equal(await inbox.next('picture'), [exports.ChatKittyUploadResult?.COMPLETED ?? 0], 'completed');
  });

  await step('createChannel', async () => {
    const request = { type: 'PUBLIC', name: 'team', displayName: 'Team', members: [{ username: 'bob' }], properties: { a: 1 } };
    const channel = whole('channel', succeeded(await ann.createChannel(request)).channel);
    equal([channel.type, channel.name, channel.displayName, channel.properties], ['PUBLIC', 'team', 'Team', { a: 1 }], 'channel');
    channels.team = channel;
    const made = async (members, rest) => succeeded(await ann.createChannel({ members, ...rest })).channel;
    channels.direct = await made([{ id: users.ann.id }, { username: 'bob' }], { type: 'DIRECT' });
    equal(channels.direct.members.map((user) => user.name).sort(), ['ann', 'bob'], 'members');
    channels.closed = await made([], { type: 'PRIVATE', name: 'closed' });
    channels.lobby = await made([], { type: 'PUBLIC', name: 'lobby' });
    const again = await ann.createChannel({ type: 'SECRET' });
    assert(again.failed && again.error.error && again.error.message, 'an unknown type is taken', again);
  });

  await step('onUserPresenceChanged startSession', async () => {
    listen('ann', 'onUserPresenceChanged');
    await start('bob');
    const [user] = await heard('ann', 'onUserPresenceChanged', is('bob'));
    equal(whole('user', user).presence.online, true, 'online');
    await start('cat');
  });
  await step('listChannels', async () => {
    const names = async (request) =>
      (await every(succeeded(await bob.listChannels(request)).paginator)).map((channel) => channel.name).filter(Boolean);
    for (const channel of succeeded(await bob.listChannels()).paginator.items) whole('channel', channel);
    const joined = await names({ filter: { joined: true } });
    assert(joined.includes('team') && joined.includes('archive') && !joined.includes('lobby'), 'joined:', joined);
    const joinable = await names({ filter: { joined: false } });
    assert(joinable.includes('lobby') && !joinable.includes('team') && !joinable.includes('closed'), 'joinable:', joinable);
    equal(await names({ filter: { name: 'team' } }), ['team'], 'by name');
    const unread = await names({ filter: { unread: true } });
    assert(unread.includes('archive') && !unread.includes('lobby'), 'unread:', unread);
    if (!second) {
      const first = succeeded(await bob.listChannels({ size: 1, filter: { joined: true } })).paginator;
      equal([first.items.length, first.hasNextPage, first.hasPrevPage], [1, true, false], 'first page');
      const next = await first.nextPage();
      equal((await next.prevPage()).items[0].id, first.items[0].id, 'page before');
    }
  });
  await step('retrieveChannel', async () => {
    const channel = succeeded(await bob.retrieveChannel(channels.team.id)).channel;
    equal(whole('channel', channel).name, 'team', 'name');
    const missing = await bob.retrieveChannel(999999);
    assert(missing.failed && missing.error.error, 'a missing channel is found', missing);
    const hidden = await bob.retrieveChannel(channels.closed.id);
    assert(hidden.failed, "a private channel is shown to someone who isn't a member");
  });
  await step('joinChannel onChannelJoined', async () => {
    listen('bob', 'onChannelJoined');
    const lobby = succeeded(await bob.retrieveChannel(channels.lobby.id)).channel;
    const channel = succeeded(await bob.joinChannel({ channel: lobby })).channel;
    equal(whole('channel', channel).id, channels.lobby.id, 'id');
    equal((await heard('bob', 'onChannelJoined', (one) => one.name === 'lobby'))[0].id, channels.lobby.id, 'id');
  });
  await step('checkChannelUnread countUnreadMessages countUnreadChannels readChannel', async () => {
    const archive = succeeded(await bob.listChannels({ filter: { name: 'archive' } })).paginator.items[0];
    channels.archive = archive;
    equal(succeeded(await bob.checkChannelUnread({ channel: archive })).unread, true, 'unread');
    equal(succeeded(await bob.countUnreadMessages({ channel: archive })).count, 60, 'messages of the channel');
    equal(succeeded(await bob.countUnreadMessages()).count, 60, 'messages');
    equal(succeeded(await bob.countUnreadChannels()).count, 1, 'channels');
    equal(succeeded(await bob.countUnreadChannels({ filter: { type: 'DIRECT' } })).count, 0, 'direct channels');
    equal(succeeded(await bob.readChannel({ channel: archive })).channel.id, archive.id, 'id');
    equal(succeeded(await bob.checkChannelUnread({ channel: archive })).unread, false, 'unread after reading');
    equal(succeeded(await bob.countUnreadMessages()).count, 0, 'messages after reading');
  });
  await step('listMessages', async () => {
    const { paginator } = succeeded(await bob.listMessages({ channel: channels.archive }));
    for (const message of paginator.items) equal(message.channelId, channels.archive.id, 'channel');
    const all = await every(paginator);
    equal([all.length, new Set(ids(all)).size], [60, 60], 'messages');
    const times = all.map((message) => message.createdTime);
    equal(times, [...times].sort().reverse(), 'order, newest first');
  });

  // A client subscribes to most topics of a channel after the receipt of the first; this is done after two more responses.
  const settle = async (who) => {
    for (const _ of [1, 2]) succeeded(await clients[who].retrieveCurrentUser());
  };
  await step('startChatSession onParticipantEnteredChat', async () => {
    sessions.ann = chat('ann', channels.team);
    await settle('ann');
    sessions.bob = chat('bob', succeeded(await bob.retrieveChannel(channels.team.id)).channel);
    await heardInChat('ann', 'onParticipantEnteredChat', is('bob'));
    await settle('bob');
    equal([sessions.bob.channel.id, typeof sessions.bob.end], [channels.team.id, 'function'], 'session');
  });
  await step('sendMessage onMessageReceived', async () => {
    const request = { channel: channels.team, body: 'Hello: \\ "Bob"\n\u00e4\u4f60\ud83d\ude00', groupTag: 'g', properties: { a: { b: 1 } } };
    const sent = whole('message', succeeded(await ann.sendMessage(request)).message);
    equal([sent.type, sent.body, sent.groupTag, sent.properties], ['TEXT', request.body, 'g', request.properties], 'sent');
    const [received, parent] = await heardInChat('bob', 'onMessageReceived', (one) => one.id === sent.id);
    equal([received.body, received.user.name, received.properties, parent], [sent.body, 'ann', sent.properties, undefined], 'received');
    messages.first = received;
    await heardInChat('ann', 'onMessageReceived', (one) => one.id === sent.id);
  });
  await step('sendMessage onMessageReceived', async () => {
    const numbers = [...Array(20).keys()];
    await Promise.all(numbers.map((number) => ann.sendMessage({ channel: channels.team, body: `number ${number}` }).then(succeeded)));
    for (const number of numbers) {
      const [one] = await heardInChat('bob', 'onMessageReceived');
      equal(one.body, `number ${number}`, 'order');
    }
    equal(inbox.count('bob.chat.onMessageReceived'), 0, 'messages that came twice');
  });
  await step('sendMessage onMessageReceived', async () => {
    const listener = { onStarted: inbox.listener('started'), onProgress: () => {}, onCompleted: inbox.listener('completed') };
    const file = new File(['contents \u00e4'], 'notes.txt', { type: 'text/plain' });
    const request = { channel: channels.team, file, groupTag: 'files', properties: { page: 1 }, progressListener: listener };
    const sent = whole('message', succeeded(await bob.sendMessage(request)).message);
    equal([sent.type, sent.file.name, sent.file.contentType, sent.file.size], ['FILE', 'notes.txt', 'text/plain', 11], 'file');
    equal([sent.groupTag, sent.properties], ['files', { page: 1 }], 'properties');
    equal(await (await fetch(sent.file.url)).text(), 'contents \u00e4', 'what the sender downloads');
    const [received] = await heardInChat('ann', 'onMessageReceived', (one) => one.id === sent.id);
    equal(await (await fetch(received.file.url)).text(), 'contents \u00e4', 'what the receiver downloads');
    await inbox.next('started');
    await inbox.next('completed');
    const uri = 'data:text/plain;base64,aGVsbG8=';
    const second = succeeded(await ann.sendMessage({ channel: channels.team, file: { uri, name: 'h.txt', type: 'text/plain', size: 5 } }));
    equal(await (await fetch(second.message.file.url)).text(), 'hello', 'a data URI');
    const external = { url: 'https://example.com/a.txt', name: 'a.txt', contentType: 'text/plain', size: 3 };
    const third = succeeded(await ann.sendMessage({ channel: channels.team, file: external })).message;
    equal([third.type, third.file.name, third.file.size], ['FILE', 'a.txt', 3], 'external');
    messages.file = sent;
  });
  await step('sendMessage onMessageReceived', async () => {
    const reply = succeeded(await bob.sendMessage({ message: messages.first, body: 'Hello, Ann' })).message;
    const [received, parent] = await heardInChat('ann', 'onMessageReceived', (one) => one.id === reply.id);
    equal([received.body, parent.id, parent.body], ['Hello, Ann', messages.first.id, messages.first.body], 'reply');
    messages.reply = received;
    const attached = { message: messages.first, file: new File(['x'], 'x.txt', { type: 'text/plain' }) };
    const file = succeeded(await bob.sendMessage(attached)).message;
    equal((await heardInChat('ann', 'onMessageReceived', (one) => one.id === file.id))[1].id, messages.first.id, 'parent');
    const empty = await bob.sendMessage({ channel: channels.team, body: '' });
    assert(empty.failed && empty.error.error, 'an empty message is taken', empty);
  });
  await step('countMessageReplies', async () => {
    equal(succeeded(await ann.countMessageReplies({ message: messages.first })).count, 2, 'replies');
  });
  await step('retrieveMessageParent', async () => {
    equal(whole('message', succeeded(await ann.retrieveMessageParent({ message: messages.reply })).message).id, messages.first.id, 'id');
  });
  await step('retrieveMessageChannel', async () => {
    equal(whole('channel', succeeded(await ann.retrieveMessageChannel({ message: messages.first })).channel).id, channels.team.id, 'id');
  });
  await step('listMessages', async () => {
    const replies = await every(succeeded(await ann.listMessages({ message: messages.first })).paginator);
    assert(ids(replies).includes(messages.reply.id) && replies.length === 2, 'replies:', ids(replies));
    const files = await every(succeeded(await ann.listMessages({ channel: channels.team, filter: { type: 'FILE' } })).paginator);
    assert(files.length >= 3 && files.every((one) => one.type === 'FILE'), 'files:', files.map((one) => one.type));
    equal(await (await fetch(files.find((one) => one.id === messages.file.id).file.url)).text(), 'contents \u00e4', 'file');
    const main = await every(succeeded(await ann.listMessages({ channel: channels.team, filter: { mainThread: true } })).paginator);
    assert(!ids(main).includes(messages.reply.id), 'a reply is in the main thread');
    const own = await every(succeeded(await ann.listMessages({})).paginator);
    assert(ids(own).includes(messages.first.id), "the user's messages lack one");
  });

  await step('createThread onThreadMessageReceived sendMessage', async () => {
    const thread = whole('thread', succeeded(await ann.createThread({ channel: channels.team, name: 'side', properties: { b: 2 } })).thread);
    equal([thread.name, thread.properties], ['side', { b: 2 }], 'thread');
    messages.thread = thread;
    sessions.bob.setThread(thread);
    const sent = whole('message', succeeded(await ann.sendMessage({ thread, body: 'in the thread' })).message);
    const [where, received] = await heardInChat('bob', 'onThreadMessageReceived', (_, one) => one.id === sent.id);
    equal([where.id, received.body], [thread.id, 'in the thread'], 'message');
  });
  await step('listThreads', async () => {
    const threads = await every(succeeded(await ann.listThreads({ channel: channels.team })).paginator);
    for (const thread of threads) whole('thread', thread);
    assert(threads.some((one) => one.id === messages.thread.id), 'threads:', threads);
    const alone = await every(succeeded(await ann.listThreads({ channel: channels.team, filter: { standalone: true } })).paginator);
    equal(ids(alone), [messages.thread.id], 'standalone');
    const others = await every(succeeded(await ann.listThreads({ channel: channels.team, filter: { includeMainThread: false } })).paginator);
    assert(!others.some((one) => one.type === 'MAIN'), 'the main thread is included', others);
  });
  await step('listThreadChannel', async () => {
    equal(whole('channel', succeeded(await ann.listThreadChannel({ thread: messages.thread })).channel).id, channels.team.id, 'id');
  });
  await step('listThreadMessage', async () => {
    const threads = await every(succeeded(await ann.listThreads({ channel: channels.team })).paginator);
    const thread = threads.find((one) => one.type === 'MESSAGE');
    equal(succeeded(await ann.listThreadMessage({ thread })).message.id, messages.first.id, 'id');
  });
  await step('readThread', async () => {
    equal(succeeded(await bob.readThread({ thread: messages.thread })).thread.id, messages.thread.id, 'id');
  });
  await step('sendKeystrokes onThreadKeystrokesReceived onThreadTypingStarted', async () => {
    ann.sendKeystrokes({ thread: messages.thread, keys: 'thr' });
    equal((await heardInChat('bob', 'onThreadKeystrokesReceived'))[1].keys, 'thr', 'keys');
    equal((await heardInChat('bob', 'onThreadTypingStarted'))[1].name, 'ann', 'user');
  });
  await step('onThreadTypingStopped', async () => {
    equal((await heardInChat('bob', 'onThreadTypingStopped'))[1].name, 'ann', 'user');
  });
  await step('sendKeystrokes onKeystrokesReceived onTypingStarted onParticipantStartedTyping', async () => {
    for (const name of ['onParticipantStartedTyping', 'onParticipantStoppedTyping']) listen('bob', name);
    ann.sendKeystrokes({ channel: channels.team, keys: 'h' });
    ann.sendKeystrokes({ channel: channels.team, keys: 'he' });
    const [keystrokes] = await heardInChat('bob', 'onKeystrokesReceived', (one) => one.keys === 'he');
    equal(keystrokes.username, 'ann', 'user');
    await heardInChat('bob', 'onTypingStarted', is('ann'));
    whole('user', (await heard('bob', 'onParticipantStartedTyping', is('ann')))[0]);
  });
  await step('onTypingStopped onParticipantStoppedTyping', async () => {
    await heardInChat('bob', 'onTypingStopped', is('ann'));
    whole('user', (await heard('bob', 'onParticipantStoppedTyping', is('ann')))[0]);
  });

  await step('reactToMessage onMessageReactionAdded', async () => {
    const message = messages.first;
    const reaction = whole('reaction', succeeded(await bob.reactToMessage({ message, emoji: '\ud83d\udc4d' })).reaction);
    equal([reaction.emoji.character, reaction.user.name], ['\ud83d\udc4d', 'bob'], 'reaction');
    const [subject, added] = await heardInChat('ann', 'onMessageReactionAdded');
    equal([subject.id, whole('reaction', added).emoji.character], [message.id, '\ud83d\udc4d'], 'event');
    equal(subject.reactions.map((one) => [one.emoji.character, one.count]), [['\ud83d\udc4d', 1]], 'summary');
  });
  await step('listReactions', async () => {
    const reactions = await every(succeeded(await ann.listReactions({ message: messages.first })).paginator);
    equal(reactions.map((one) => [one.emoji.character, one.user?.name ?? one.users[0].name]), [['\ud83d\udc4d', 'bob']], 'reactions');
  });
  await step('removeReaction onMessageReactionRemoved', async () => {
    const { reaction } = succeeded(await bob.removeReaction({ message: messages.first, emoji: '\ud83d\udc4d' }));
    equal(whole('reaction', reaction).emoji.character, '\ud83d\udc4d', 'emoji');
    equal((await heardInChat('ann', 'onMessageReactionRemoved'))[0].id, messages.first.id, 'message');
  });
  const receipts = second ? ' onReadReceiptCreated' : '';
  await step(`readMessage onMessageRead${receipts}`, async () => {
    if (second) listen('bob', 'onReadReceiptCreated');
    equal(succeeded(await bob.readMessage({ message: messages.first })).message.id, messages.first.id, 'id');
    const [message, receipt] = await heardInChat('ann', 'onMessageRead', (one) => one.id === messages.first.id);
    equal([message.id, whole('receipt', receipt).user.name], [messages.first.id, 'bob'], 'event');
    if (second) whole('receipt', (await heard('bob', 'onReadReceiptCreated'))[0]);
  });
  await step('listReadReceipts', async () => {
    const found = await every(succeeded(await ann.listReadReceipts({ message: messages.first })).paginator);
    assert(found.some((one) => whole('receipt', one).user.name === 'bob'), 'receipts:', found);
  });
  await step('retrieveLastReadMessage', async () => {
    const request = { channel: channels.archive, username: 'bob' };
    const { message } = succeeded(await ann.retrieveLastReadMessage(request));
    equal(whole('message', message).channelId, channels.archive.id, 'channel');
  });
  await step(`unreadMessage onMessageUnread${second ? ' onReadReceiptDeleted' : ''}`, async () => {
    if (second) listen('bob', 'onReadReceiptDeleted');
    equal(succeeded(await bob.unreadMessage({ message: messages.first })).message.id, messages.first.id, 'id');
    const [message, receipt] = await heardInChat('ann', 'onMessageUnread');
    equal([message.id, receipt.user.name], [messages.first.id, 'bob'], 'event');
    if (second) whole('receipt', (await heard('bob', 'onReadReceiptDeleted'))[0]);
  });
  await step('retrieveChannelContext', async () => {
    const { context } = succeeded(await ann.retrieveChannelContext({ channel: channels.team }));
    assert(context.startCursor !== undefined && context.endCursor !== undefined && context.readBy, 'context:', context);
    const { startCursor, endCursor } = context;
    const again = succeeded(await ann.retrieveChannelContext({ channel: channels.team, startCursor, endCursor })).context;
    equal([again.startCursor, again.endCursor], [startCursor, endCursor], 'cursors');
  });

  await step('triggerEvent onEventTriggered', async () => {
    const request = { channel: channels.team, type: 'game.started', properties: { level: 3 } };
    equal(succeeded(await ann.triggerEvent(request)).channel.id, channels.team.id, 'id');
    const [event] = await heardInChat('bob', 'onEventTriggered');
    equal([event.type, event.user.name, event.properties], ['game.started', 'ann', { level: 3 }], 'event');
  });
  await step('editMessage onMessageUpdated', async () => {
    const edited = whole('message', succeeded(await ann.editMessage({ message: messages.first, body: 'Edited' })).message);
    equal([edited.id, edited.body], [messages.first.id, 'Edited'], 'message');
    equal((await heardInChat('bob', 'onMessageUpdated', (one) => one.body === 'Edited'))[0].id, edited.id, 'id');
    const foreign = await bob.editMessage({ message: messages.first, body: 'Not mine' });
    assert(foreign.failed && foreign.error.error, "a user edits another user's message", foreign);
  });
  await step('updateMessageProperties onMessageUpdated', async () => {
    const { message } = succeeded(await ann.updateMessageProperties({ message: messages.first, properties: { seen: true } }));
    equal(whole('message', message).properties, { seen: true }, 'properties');
    await heardInChat('bob', 'onMessageUpdated', (one) => one.properties?.seen === true);
  });
  if (has('reportMessage')) {
    await step('reportMessage', async () => {
      const { report: made } = succeeded(await bob.reportMessage({ message: messages.first, reason: 'SPAM', properties: { c: 3 } }));
      equal([made.user.name, made.reason, made.properties], ['bob', 'SPAM', { c: 3 }], 'report');
    });
  }
  await step('deleteMessage onMessageDeleted', async () => {
    const { message } = succeeded(await bob.deleteMessage({ message: messages.reply }));
    equal(message.id, messages.reply.id, 'id');
    equal((await heard('ann', 'chat.onMessageDeleted'))[0].id, messages.reply.id, 'id');
  });
  await step('updateChannel onChannelUpdated', async () => {
    listen('bob', 'onChannelUpdated');
    const changed = { ...channels.team, displayName: 'The team', properties: { a: 2 } };
    const { channel } = succeeded(await ann.updateChannel({ channel: changed }));
    equal([whole('channel', channel).displayName, channel.properties], ['The team', { a: 2 }], 'channel');
    equal((await heardInChat('bob', 'onChannelUpdated'))[0].displayName, 'The team', 'in the chat');
    await heard('bob', 'onChannelUpdated', (one) => one.displayName === 'The team');
  });

  await step('listChannelMembers', async () => {
    const members = await every(succeeded(await ann.listChannelMembers({ channel: channels.team })).paginator);
    equal(members.map((user) => whole('user', user).name).sort(), ['ann', 'bob'], 'members');
    const request = { channel: channels.team, filter: { displayName: 'Ann' } };
    equal((await every(succeeded(await ann.listChannelMembers(request)).paginator)).map((user) => user.name), ['ann'], 'by name');
    users.asBob = members.find((user) => user.name === 'bob');
  });
  await step('listUsers', async () => {
    const found = await every(succeeded(await ann.listUsers()).paginator);
    for (const user of found) whole('user', user);
    assert(['bob', 'cat'].every((name) => found.some((user) => user.name === name)), 'users:', found.map((user) => user.name));
    users.asCat = found.find((user) => user.name === 'cat');
    const online = await every(succeeded(await ann.listUsers({ filter: { online: true, name: 'bob' } })).paginator);
    equal(online.map((user) => user.name), ['bob'], 'online');
  });
  await step('listUsersCount', async () => {
    const count = succeeded(await ann.listUsersCount()).count;
    equal(count, (await every(succeeded(await ann.listUsers()).paginator)).length, 'count');
    equal(succeeded(await ann.listUsersCount({ filter: { name: 'cat' } })).count, 1, 'by name');
  });
  await step('retrieveUser', async () => {
    equal(whole('user', succeeded(await ann.retrieveUser(users.bob.id)).user).name, 'bob', 'name');
  });
  await step('checkUserIsChannelMember', async () => {
    const check = async (user) => succeeded(await ann.checkUserIsChannelMember({ user, channel: channels.team })).isChannelMember;
    equal([await check(users.asBob), await check(users.asCat)], [true, false], 'members');
  });
  if (has('onUserUpdated')) {
    await step('onUserUpdated', async () => {
      listen('ann', 'onUserUpdated');
      succeeded(await bob.updateCurrentUser((user) => ({ ...user, displayName: 'Bobby' })));
      equal((await heard('ann', 'onUserUpdated', is('bob')))[0].displayName, 'Bobby', 'name');
    });
  }
  for (const name of ['onApplicationElementsChanged', 'onApplicationFeaturesChanged', 'onApplicationStylesChanged']) {
    if (has(name)) {
      await step(name, async () => {
        listen('ann', name);
        equal(inbox.count(`ann.${name}`), 0, 'events');
      });
    }
  }

  await step('muteChannel unmuteChannel', async () => {
    equal(whole('channel', succeeded(await bob.muteChannel({ channel: channels.team })).channel).id, channels.team.id, 'id');
    equal(succeeded(await bob.unmuteChannel({ channel: channels.team })).channel.id, channels.team.id, 'id');
  });
  await step('inviteUser', async () => {
    const { user } = succeeded(await ann.inviteUser({ channel: channels.closed, user: { id: users.cat.id } }));
    equal(whole('user', user).name, 'cat', 'invited');
  });
  await step('onMemberJoined joinChannel'.replace(second ? '' : 'onMemberJoined ', ''), async () => {
    const team = succeeded(await cat.retrieveChannel(channels.team.id)).channel;
    channels.asCat = succeeded(await cat.joinChannel({ channel: team })).channel;
    if (second) await heardInChat('ann', 'onMemberJoined', is('cat'));
  });
  await step(`addChannelModerator${second ? ' onModeratorAdded listChannelModerators' : ''}`, async () => {
    const { channel } = succeeded(await ann.addChannelModerator({ channel: channels.team, user: { username: 'cat' } }));
    equal(whole('channel', channel).id, channels.team.id, 'id');
    if (!second) return;
    await heardInChat('ann', 'onModeratorAdded', is('cat'));
    const moderators = await every(succeeded(await ann.listChannelModerators({ channel: channels.team })).paginator);
    equal(moderators.map((user) => whole('user', user).name), ['cat'], 'moderators');
  });
  if (second) {
    await step('deleteChannelModerator onModeratorDeleted', async () => {
      const { channel } = succeeded(await ann.deleteChannelModerator({ channel: channels.team, user: { username: 'cat' } }));
      equal(channel.id, channels.team.id, 'id');
      await heardInChat('ann', 'onModeratorDeleted', is('cat'));
    });
    await step('blockChannelUser onMemberBlocked listChannelBlockRecords', async () => {
      const { record } = succeeded(await ann.blockChannelUser({ channel: channels.team, user: { username: 'cat' } }));
      equal(whole('record', record).user.name, 'cat', 'user');
      await heardInChat('ann', 'onMemberBlocked', (one) => one.user.name === 'cat');
      const records = await every(succeeded(await ann.listChannelBlockRecords({ channel: channels.team })).paginator);
      equal(records.map((one) => whole('record', one).user.name), ['cat'], 'records');
      const refused = await cat.sendMessage({ channel: channels.asCat, body: 'blocked' });
      assert(refused.failed && refused.error.error, 'a blocked user sends a message', refused);
      users.record = record;
    });
    await step('unblockChannelUser onMemberUnblocked', async () => {
      const { record } = succeeded(await ann.unblockChannelUser({ record: users.record }));
      equal(record.user.name, 'cat', 'user');
      await heardInChat('ann', 'onMemberUnblocked', (one) => one.user.name === 'cat');
      const team = succeeded(await cat.retrieveChannel(channels.team.id)).channel;
      channels.asCat = team._actions.join ? succeeded(await cat.joinChannel({ channel: team })).channel : team;
    });
  }
  await step(`leaveChannel onChannelLeft${second ? ' onMemberLeft' : ''}`, async () => {
    listen('cat', 'onChannelLeft');
    const { channel } = succeeded(await cat.leaveChannel({ channel: channels.asCat }));
    equal(channel.id, channels.team.id, 'id');
    equal((await heard('cat', 'onChannelLeft'))[0].id, channels.team.id, 'id');
    if (second) await heardInChat('ann', 'onMemberLeft', is('cat'));
  });

  await step(`blockUser${second ? ' onUserBlocked' : ''}`, async () => {
    if (second) listen('ann', 'onUserBlocked');
    const { user } = succeeded(await ann.blockUser({ user: users.asCat }));
    equal(user.user?.name ?? user.name, 'cat', 'user');
    if (second) equal(whole('record', (await heard('ann', 'onUserBlocked'))[0]).user.name, 'cat', 'user');
  });
  await step('listUserBlockedRecords', async () => {
    const items = await every(succeeded(await ann.listUserBlockedRecords()).paginator);
    equal(items.map((item) => whole('record', item).user.name), ['cat'], 'items');
    users.item = items[0];
  });
  await step(`deleteUserBlockedRecord${second ? ' onUserUnblocked' : ''}`, async () => {
    if (second) listen('ann', 'onUserUnblocked');
    equal(succeeded(await ann.deleteUserBlockedRecord({ item: users.item })).user.name, 'cat', 'user');
    if (second) equal((await heard('ann', 'onUserUnblocked'))[0].name, 'cat', 'user');
    equal((await every(succeeded(await ann.listUserBlockedRecords()).paginator)).length, 0, 'items left');
  });

  await step('onNotificationReceived', async () => {
    listen('bob', 'onNotificationReceived');
    const sent = succeeded(await ann.sendMessage({ channel: channels.direct, body: 'Are you there?' })).message;
    const matches = (one) => one.data.message?.id === sent.id;
    const [notification] = await heard('bob', 'onNotificationReceived', matches);
    equal([whole('notification', notification).data.type, notification.channel.id], ['USER:SENT:MESSAGE', channels.direct.id], 'notification');
    succeeded(await ann.sendMessage({ channel: channels.team, body: 'You see this' }));
    await heardInChat('bob', 'onMessageReceived', (one) => one.body === 'You see this');
    equal(inbox.count('bob.onNotificationReceived'), 0, 'notifications in an open chat');
  });
  await step('hideChannel onChannelHidden onChannelUnhidden', async () => {
    for (const name of ['onChannelHidden', 'onChannelUnhidden']) listen('bob', name);
    const direct = succeeded(await bob.retrieveChannel(channels.direct.id)).channel;
    equal(succeeded(await bob.hideChannel({ channel: direct })).channel.id, channels.direct.id, 'id');
    equal((await heard('bob', 'onChannelHidden'))[0].id, channels.direct.id, 'id');
    const listed = await every(succeeded(await bob.listChannels({ filter: { joined: true } })).paginator);
    assert(!ids(listed).includes(channels.direct.id), 'a hidden channel is listed');
    succeeded(await ann.sendMessage({ channel: channels.direct, body: 'Back again' }));
    equal((await heard('bob', 'onChannelUnhidden'))[0].id, channels.direct.id, 'id');
  });
  await step('clearChannelHistory', async () => {
    equal(succeeded(await bob.clearChannelHistory({ channel: channels.archive })).channel.id, channels.archive.id, 'id');
    equal(succeeded(await bob.listMessages({ channel: channels.archive })).paginator.items.length, 0, "the user's messages");
    assert(succeeded(await ann.listMessages({ channel: channels.archive })).paginator.items.length > 0, "another user's messages");
  });

  // Each participant disconnects and reconnects; only the clients themselves renew their subscriptions.
  await step('onCurrentUserOffline onCurrentUserOnline onMessageReceived startChatSession', async () => {
    listen('bob', 'onCurrentUserOnline');
    await restart();
    await heard('ann', 'onCurrentUserOffline');
    await Promise.all([heard('ann', 'onCurrentUserOnline'), heard('bob', 'onCurrentUserOnline')]);
  }, RESTART_MS);
  await step('sendMessage onMessageReceived', async () => {
    succeeded(await bob.retrieveCurrentUser());
    const sent = succeeded(await ann.sendMessage({ channel: channels.team, body: 'after the restart' })).message;
    await heardInChat('bob', 'onMessageReceived', (one) => one.id === sent.id);
    const file = new File(['still here'], 'b.txt', { type: 'text/plain' });
    const { message } = succeeded(await bob.sendMessage({ channel: channels.team, file }));
    equal(await (await fetch(message.file.url)).text(), 'still here', 'file');
    const messagesNow = await every(succeeded(await ann.listMessages({ channel: channels.team })).paginator);
    assert(ids(messagesNow).includes(messages.first.id), 'a message from before is lost');
    equal(inbox.count('bob.chat.onMessageReceived', (one) => one.id === sent.id), 0, 'came twice');
  });

  await step('onParticipantLeftChat', async () => {
    sessions.bob.end();
    await heardInChat('ann', 'onParticipantLeftChat', is('bob'));
    succeeded(await ann.sendMessage({ channel: channels.team, body: 'missed' }));
    const [notification] = await heard('bob', 'onNotificationReceived', (one) => one.data.message?.body === 'missed');
    equal(notification.channel.id, channels.team.id, 'channel');
    equal(inbox.count('bob.chat.onMessageReceived', (one) => one.body === 'missed'), 0, 'messages after the end');
  });
  await step('endSession onUserPresenceChanged onParticipantPresenceChanged', async () => {
    await bob.endSession();
    const [user] = await heard('ann', 'onUserPresenceChanged', (one) => one.name === 'bob' && !one.presence.online);
    equal(user.presence.online, false, 'online');
    await heardInChat('ann', 'onParticipantPresenceChanged', (one) => one.name === 'bob' && !one.presence.online);
    await start('bob');
    await heardInChat('ann', 'onParticipantPresenceChanged', (one) => one.name === 'bob' && one.presence.online);
  });
  await step(`deleteChannel${second ? ' onChannelDeleted' : ''}`, async () => {
    if (second) listen('bob', 'onChannelDeleted');
    assert(succeeded(await ann.deleteChannel({ channel: channels.team })), 'not deleted');
    if (second) {
      await heard('bob', 'onChannelDeleted', (one) => one.id === channels.team.id);
      await heard('ann', 'chat.onChannelDeleted', (one) => one.id === channels.team.id);
    }
    assert((await ann.retrieveChannel(channels.team.id)).failed, 'the channel is still there');
  });
  if (has('deleteUser')) {
    await step('deleteUser', async () => {
      equal(succeeded(await cat.deleteUser({ user: users.cat })).user.name, 'cat', 'user');
      const left = await every(succeeded(await ann.listUsers()).paginator);
      assert(!left.some((user) => user.name === 'cat'), 'the user is still there');
    });
  }
  if (exports.connectApi) {
    await step('connectApi', async () => {
      const connection = await (await open.module()).connectApi({ apiKey: 'emulator', username: 'bob', $environment: environment });
      equal([connection.user.value.name, typeof connection.unreadChannelsCount.value], ['bob', 'number'], 'connection');
      const changed = new Promise((resolve) => connection.user.watch((user) => user.displayName === 'Robert' && resolve()));
      await connection.updateUser({ displayName: 'Robert' });
      await changed;
      const before = connection.unreadMessagesCount.value;
      const counted = new Promise((resolve) => connection.unreadMessagesCount.watch((count) => count > before && resolve()));
      connection.notifications.watch(inbox.listener('connection'));
      succeeded(await ann.sendMessage({ channel: channels.direct, body: 'count this' }));
      await inbox.next('connection', (one) => one.data.message?.body === 'count this');
      await counted;
      assert(succeeded(await connection.getSdkClient().listChannels()).paginator.items.length > 0, 'no channels');
      connection.onDispose(async () => inbox.listener('disposed')());
      await connection.dispose();
      await inbox.next('disposed');
    });
  }
  await step('endSession onCurrentUserChanged', async () => {
    await Promise.all([ann, bob, cat].map((client) => client.endSession()));
    await heard('ann', 'onCurrentUserChanged', (user) => user === null);
  });

  for (const name of methods) report({ method: name, problems: verdicts.get(name) ?? ['not called'] });
  const callbacks = Object.keys(second ? { ...CALLBACKS, ...CALLBACKS_2 } : CALLBACKS);
  for (const name of callbacks) report({ callback: name, problems: verdicts.get(name) ?? ['not called'] });
  if (exports.connectApi) report({ method: 'connectApi', problems: verdicts.get('connectApi') ?? ['not called'] });
}
