// user.received.notification: logs who was notified, and how.
async function handleEvent(event: UserReceivedNotificationEvent, context: Context) {
  const { user, notification, userHasActiveSession } = event;
  const how = userHasActiveSession ? "in the app" : "by mail";

  console.log(`${user.name} is notified ${how}: ${notification.body}`);

  return { user: user.name, how };
}
