// Runs once in every function's process, before its handler. What is exported here is in scope of all handlers.

export const desk = {
  name: "Deskline",
  openingHours: process.env.OPENING_HOURS ?? "now and then",
};

/** Signs what the desk says, so that customers can tell it from a person. */
export function signed(text: string): string {
  return `${text} (${desk.name}, automatically)`;
}
