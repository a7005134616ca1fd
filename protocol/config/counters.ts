/** What happened to packets, by name; grows by names in the source only, never by what came in. */
export const COUNTER_NAMES = [
  "packets", // received
  "sent",
  "bad", // not a packet, not for us, or not genuine
  "replayed", // a counter or a handshake that was used before
  "unknown", // of a session that is not known (any more)
  "limited", // dropped because a table or a rate was at its limit
  "invalid", // genuine, but its body does not fit its schema, or it was not allowed
  "handshakes", // answered, or for a node: begun
  "refusals", // handshakes answered with a refusal, or for a node: refused
  "sessions", // handshakes that were confirmed
  "hints", // sent, or for a node: taken
  "moves", // a node made a session from another address than before
  "requests", // asked by us
  "repeats", // packets of requests that were sent again
  "handled", // requests of peers that were handed to a handler
  "duplicates", // requests of peers that were answered without a handler
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];
export type Counters = Record<CounterName, number>;

export function newCounters(): Counters {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Counters;
}
