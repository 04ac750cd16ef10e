// Runs once in the process of every function, before its handler. The exports are in scope in all handlers.

export const desk = {
  name: "Deskline",
  openingHours: process.env.OPENING_HOURS ?? "now and then",
};

/** Signs an automatic answer, so that customers can tell it from a person's. */
export function signed(text: string): string {
  return `${text} (${desk.name}, automatically)`;
}
