/** Limits of counters, metrics and meters (storage/counters, roles/agent, roles/station). */

/** Rows of counters of one data worker, 1.25 KiB each; who finds none shares one. */
export const COUNTER_ROWS = 4096;
/** Of a row's name, in UTF-8; a longer one loses its middle. */
export const COUNTER_NAME_BYTES = 256;
/** Tries of a reader that meets rows being made; then it answers what it read last. */
export const COUNTER_READS_MAX = 1000;
/** Connections with metrics of their own; the rest is in the sums of exports alone. */
export const METRICS_CONNECTIONS_MAX = 64;
/**
 * Bytes of meters in a heartbeat, which then fits into one packet beside the rest; and while
 * somebody watches, several. Connections get what the other meters leave, and while somebody
 * watches at least so much of their own.
 */
export const METERS_BYTES_MAX = 640;
export const METERS_BYTES_WATCHED_MAX = 36 * 1024;
export const CONNECTIONS_BYTES_WATCHED_MAX = 12 * 1024;
/** Meters, and connections, that a heartbeat has at most. */
export const METERS_PER_HEARTBEAT_MAX = 512;
export const CONNECTIONS_PER_HEARTBEAT_MAX = 128;
/** How long the station asks nodes for all their meters after somebody looked. */
export const METERS_WATCHED_MS = 5000;
/** Meters that the station keeps of one node, and how long one that nobody tells of. */
export const METERS_PER_NODE_MAX = 4096;
export const METER_KEPT_MS = 10 * 60_000;
/** How often `dvsan ctl … --watch` looks. */
export const LOAD_WATCH_MS = 1000;
/** Longer ones are counted as so long: a whole number that needs no memory of its own. */
export const LATENCY_US_MAX = 2 ** 31 - 1;
