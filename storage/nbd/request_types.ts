import { TYPE } from "../counters/layout.ts";

/** As what a request with this command is counted. */
export function typeOfCommand(command: number): number {
  return command < TYPES.length ? TYPES[command]! : TYPE.other;
}

/** TYPE of each command, in the order of COMMAND's numbers. */
const TYPES: Uint8Array = Uint8Array.of(
  TYPE.read,
  TYPE.write,
  TYPE.other, // DISC has no answer
  TYPE.flush,
  TYPE.discard,
  TYPE.cache,
  TYPE.zero,
  TYPE.status,
);
