// user.attempted.start_session: a client connects. A throw denies the session.
//
// This handler uses the older API of the context, as the handlers in the API's documentation do: `getUserExists` is now
// `checkUserExists`. See answer-message.ts for `context.ChatKitty`.
async function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  const { username, authParams } = event;
  const { staffCode } = authParams;

  if (staffCode !== undefined && staffCode !== process.env.STAFF_CODE) {
    throw new Error("this is not the staff code");
  }

  const users = context.getUserApi();
  const channels = context.getChannelApi();

  // If a public channel of this name exists, it is returned.
  const { data: channel } = await channels.createChannel({
    type: "PUBLIC",
    name: process.env.DESK_CHANNEL,
    displayName: "Support",
  });

  const isNew = await users.getUserExists(username).then(
    () => false,
    (error) => {
      if (error.response?.status !== 404) throw error;
      return true;
    },
  );

  if (isNew) {
    const { data: user } = await users.createUser({
      name: username,
      displayName: authParams.displayName ?? username,
      properties: { staff: staffCode !== undefined },
    });
    await channels.createChannelMember(channel.id, { id: user.id });
  }

  console.log(isNew ? `welcome, ${username}` : `welcome back, ${username}`);

  return { username, isNew, channel: channel.id };
}
