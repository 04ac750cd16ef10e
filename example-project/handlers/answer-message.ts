// user.sent.message: answers commands in the channel they were written in.
import ms from "ms";

async function handleEvent(event: UserSentMessageEvent, context: Context) {
  const { user, channel, message } = event;

  if (message.type !== "TEXT") return { answered: false };

  const text = answer(message.body.trim());
  if (text === null) return { answered: false };

  // A message without a `user` is a system message. It does not run this function again.
  const body = signed(text);
  await context.ChatKitty.Channels.sendChannelMessage(channel.id, { type: "TEXT", body });

  console.log(`answered ${user.name} in channel ${channel.id}`);

  return { answered: true, body };
}

function answer(text: string): string | null {
  const [command, ...words] = text.split(/\s+/);

  switch (command) {
    case "/help":
      return "You can ask for /help, /hours and /remind 2h";
    case "/hours":
      return `Somebody is here ${desk.openingHours}`;
    case "/remind": {
      // Any other text becomes undefined.
      const delay: number | undefined = ms(words.join(" ") as "2h");
      return delay === undefined ? "Try /remind 2h" : `You will hear from us in ${ms(delay, { long: true })}`;
    }
    default:
      return null;
  }
}
