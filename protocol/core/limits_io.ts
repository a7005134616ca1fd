/** Limits of the kernel seam (storage/io): part of limits.ts. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Operations under way at once in one Io, and open handles; reaching one is a bug of a caller. */
export const IO_OPERATIONS_MAX = 128 * KIB;
export const IO_HANDLES_MAX = 32 * KIB;
/** Pipes for bytes that need not come into the arena, and how much each should hold. */
export const ASIDES_MAX = 8;
export const ASIDE_PIPE_BYTES = MIB;
/**
 * What is read may stay aside from so much on: all of it up to so much, and half of what is more.
 */
export const ASIDE_READ_BYTES_MIN = 32 * KIB;
export const ASIDE_READ_WHOLE_BYTES_MAX = 256 * KIB;
/** Payloads of so much stay aside. */
export const ASIDE_PAYLOAD_BYTES_MIN = 64 * KIB;
export const ASIDE_PAYLOAD_BYTES_MAX = MIB;
/** What stands before a page's start goes ahead of so much behind it, if it is so little. */
export const SEND_AHEAD_BYTES_MIN = 64 * KIB;
export const SEND_AHEAD_BYTES_MAX = 64;
/** Pairs of one gathered send. */
export const SEND_SEGMENTS_MAX = 128;
/** Buffers for `receive`; the most that the kernel's ring of buffers holds. */
export const RECEIVE_BUFFERS = 64;
export const RECEIVE_BUFFERS_MAX = 32 * KIB;
/** How often a turn runs what its own results have queued before it asks the kernel again. */
export const TURN_ROUNDS_MAX = 4;
/** A turn without work looks for some for so long before it sleeps, while that pays … */
export const LOOK_MS = 0.05;
/** … and ends looking after so many vain tries in a row. */
export const LOOK_CREDIT = 4;
/** A look was interrupted, by who runs on the same processor, when its clock jumps by more. */
export const LOOK_GAP_MS = 0.005;
/** A sleep shorter than this, with the time that waking takes, was short. */
export const LOOK_SLEEP_MS = 0.12;
/** Who stands between two others does not look while one of them has more under way. */
export const LOOK_REQUESTS_MAX = 8;
/** Short sleeps before it tries again; doubled with each vain try, up to the most. */
export const LOOK_PAUSES_MIN = 16;
export const LOOK_PAUSES_MAX = 1024;
/** After a transfer of so much there is no looking for so many sleeps. */
export const LOOK_BYTES_MAX = 16 * KIB;
export const LOOK_LARGE_SLEEPS = 16;
/**
 * Between results and the next receive are so long for each request that a receive brought of late,
 * at most so long.
 */
export const GATHER_EACH_US = 4;
export const GATHER_US_MAX = 24;
/** What receives brought of late is forgotten by this part with each receive and each turn. */
export const GATHER_PARTS = 16;
/** So many turns do not wait after a peer was served that has a single request under way. */
export const GATHER_ALONE_TURNS = 8;
/**
 * Who is served one by one is waited for that long, after so many turns, doubled each time up to
 * the most: it may have more under way.
 */
export const GATHER_PROBE_US = 12;
export const GATHER_PROBE_TURNS_MIN = 16;
export const GATHER_PROBE_TURNS_MAX = 1024;
/** A trial of two ways goes each for so long and so many times, once it has settled … */
export const TRIAL_SETTLE_MS = 12;
export const TRIAL_WINDOW_MS = 8;
export const TRIAL_CALLS_MIN = 32;
/** … without a pause longer than a turn, and takes the other way where that does so much more … */
export const TRIAL_PAUSE_MS = 10;
export const TRIAL_MARGIN = 1.05;
/** … and keeps what it found for so long, in time with work. */
export const TRIAL_HOLD_MS_MIN = 200;
export const TRIAL_HOLD_MS_MAX = 3200;
/** How much later than asked for the kernel may end a sleep, to save an interrupt. */
export const TIMER_SLACK_NS = 1000;
/**
 * What the thread asks the scheduler for at a time, several times the usual; see lengthenSlices.
 */
export const SLICE_NS = 5_000_000;
export const URING_ENTRIES = 1 * KIB;
export const URING_COMPLETIONS = 8 * KIB;
/** Zeroes are written in pieces of this where the file system cannot make them itself. */
export const ZERO_WRITE_BYTES = 1 * MIB;
/** epoll's helper worker is given up when it has not begun to serve within this. */
export const HELPER_START_MS_MAX = 30_000;
/** epoll asks again after this for a connection to a Unix socket whose backlog is full. */
export const CONNECT_RETRY_MS = 5;
/** TCP keep-alive: a peer that vanished is noticed after about idle + probes * interval. */
export const KEEPALIVE_IDLE_S = 20;
export const KEEPALIVE_INTERVAL_S = 5;
export const KEEPALIVE_PROBES = 4;
