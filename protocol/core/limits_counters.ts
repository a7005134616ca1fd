/** Limits of counters, metrics and meters (storage/counters, roles/agent, roles/station). */

/** Rows of counters of one data worker, 1.25 KiB each; who finds none shares one. */
export const COUNTER_ROWS = 4096;
/** Of a row's name, in UTF-8; the rest is cut off. */
export const COUNTER_NAME_BYTES = 256;
/** Tries of a reader that meets rows being made; then it answers what it read last. */
export const COUNTER_READS_MAX = 1000;
/** Connections with metrics of their own; the rest is in the sums of exports alone. */
export const METRICS_CONNECTIONS_MAX = 64;
/** Meters in a heartbeat: so many fit into one packet; and while somebody watches, several. */
export const METERS_PER_HEARTBEAT_MAX = 6;
export const METERS_PER_HEARTBEAT_WATCHED_MAX = 512;
/**
 * Connections in a heartbeat while somebody watches, busiest first. Otherwise they get what the
 * meters leave of METERS_PER_HEARTBEAT_MAX, and each takes the room of two, for its peer's address.
 */
export const CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX = 128;
export const CONNECTION_METER_ROOM = 2;
/** How long the station asks nodes for all their meters after somebody looked. */
export const METERS_WATCHED_MS = 5000;
/** Meters that the station keeps of one node, and how long one that nobody tells of. */
export const METERS_PER_NODE_MAX = 4096;
export const METER_KEPT_MS = 10 * 60_000;
/** How often `dvsan ctl … --watch` looks. */
export const LOAD_WATCH_MS = 1000;
/** Longer ones are counted as so long: a whole number that needs no memory of its own. */
export const LATENCY_US_MAX = 2 ** 31 - 1;
