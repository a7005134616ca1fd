/** What a process's handles throw once its incarnation is over. Never an answer to anybody. */
export class CrashedError extends Error {
  override readonly name = "CrashedError";
}
