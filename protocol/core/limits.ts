/**
 * Every limit of dvsan in one place: fields, queues, loops, retries, caches and times. Relations
 * between limits are asserted in limits_test.ts. Sections follow the folders.
 */

// Units of measure.
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const TIB = 1024 * GIB;

// Names and storage geometry, shared by all.
export const NAME_CHARACTERS_MAX = 63;
export const LBA_BYTES = 512;
/** Sizes asked for are rounded up to this. */
export const SIZE_STEP_BYTES = 4 * KIB;
/** Reserved before the first block a host sees, for an md superblock and bitmap (control.md §3). */
export const VOLUME_HEADER_BYTES = 1 * MIB;
/** Extents start and end on multiples of this. */
export const EXTENT_STEP_BYTES = 1 * MIB;
export const MEDIUM_SIZE_BYTES_MIN = 8 * MIB;
export const MEDIUM_SIZE_BYTES_MAX = 4096 * TIB;
export const MEDIA_PER_UNIT_MAX = 64;
export const VOLUMES_PER_UNIT_MAX = 1024;
export const EXTENTS_PER_VOLUME_MAX = 128;
export const LEGS_PER_DISK_MAX = 16;
export const DISKS_PER_HOST_MAX = 256;
export const NODES_MAX = 4096;
export const ADDRESSES_PER_NODE_MAX = 16;

// Config protocol (protocol/config).
export const PACKET_BYTES_MAX = 1200;
export const CONTROL_PORT = 10810;

// NBD (protocol/nbd, storage/nbd).
export const NBD_PORT = 10809;
export const NBD_STRING_BYTES_MAX = 4096;
export const NBD_PAYLOAD_BYTES_MAX = 32 * MIB;
/** Data of the private option ATTACH: a volume's UUID and one short Noise message. */
export const NBD_ATTACH_BYTES_MAX = 512;

// NBD server connections (storage/nbd/server*.ts).
/** A client has this long to reach transmission. */
export const NBD_NEGOTIATION_MS = 10_000;
export const NBD_CONNECTIONS_MAX = 1024;
export const NBD_NEGOTIATING_MAX = 128;
/** Options whose payload is read; longer ones are drained and refused. */
export const NBD_OPTION_BYTES_MAX = 16 * KIB;
export const NBD_OPTIONS_MAX = 8192;
/** Queue depth of the Linux client is 128. */
export const NBD_REQUESTS_PER_CONNECTION_MAX = 128;
export const NBD_REQUESTS_PER_SERVER_MAX = 4096;
/** Payload buffers that one connection may hold: one largest payload, or 32 of 1 MiB. */
export const NBD_CONNECTION_HELD_BYTES_MAX = 33 * MIB;

// Labels (protocol/label) and the storage engine (storage/media).
/** Each of a medium's two label copies has a region of this size, one at each end. */
export const LABEL_REGION_BYTES = 1 * MIB;
/** What a change that allots or grants must leave free, so that fences and zeroing always fit. */
export const LABEL_RESERVE_BYTES = 64 * KIB;
/** Zeroed in one step on a block device: bounds how long a new volume waits behind old zeroing. */
export const ZERO_CHUNK_BLOCK_BYTES = 64 * MIB;
/** On a file a step only punches a hole. */
export const ZERO_CHUNK_FILE_BYTES = 64 * GIB;
/** Zeroed steps that may be done before the label says so. */
export const ZERO_STEPS_PER_LABEL_MAX = 16;
/** Spots of a zeroed step that are read back. */
export const ZERO_SAMPLES_PER_STEP = 4;
/** Spots between both ends of a new medium that must be zero for it to count as blank. */
export const BLANK_SAMPLES = 32;

// Web.
export const WEB_PORT = 8080;
export const WEB_BODY_BYTES_MAX = 64 * KIB;
export const WEB_STREAMS_MAX = 64;
export const WEB_STREAM_PING_MS = 15_000;
export const WEB_PAGE_ITEMS_MAX = 1000;
export const WEB_PAGE_ITEMS = 200;

// Grants and the data worker (storage/grants, storage/worker).
export const CONNECTIONS_PER_GRANT_MAX = 16;
/** Hosts that held a grant before, kept to tell them that they were fenced. */
export const FORMER_HOLDERS_MAX = 4;
/** Of the export name that carries a direct grant's token. */
export const DIRECT_TOKEN_BYTES_MAX = 128;
/** How long a call waits for a fence before it answers that it is still under way. */
export const FENCE_ANSWER_MS_MAX = 5_000;
/** How long the data worker sleeps at most when nothing wakes it. */
export const WORKER_TURN_MS_MAX = 1_000;

// Roles: the agent's local socket and waiting for the station.
export const LOCAL_LINE_BYTES_MAX = 1 * MIB;
/** sun_path has 108 bytes, the last of them zero. */
export const UNIX_PATH_BYTES_MAX = 107;
export const HEARTBEAT_MS = 1000;
export const TASK_POLL_MS_MIN = 20;
export const TASK_POLL_MS_MAX = 1000;
export const DRAIN_MS_MAX = 10_000;

// Station (roles/station).
/** A node is silent when nothing was heard from it for this long. */
export const NODE_SILENT_MS = 6 * HEARTBEAT_MS;
export const STATION_TICK_MS = 500;
/** Nodes that wait for approval; further ones are refused. */
export const NODES_PENDING_MAX = 256;
/** Of hosts that were admitted without an administrator. */
export const HOST_QUOTA_BYTES_DEFAULT = 1 * TIB;
/** Backoff of what the reconciler repeats. */
export const RECONCILE_RETRY_MS_MIN = 200;
export const RECONCILE_RETRY_MS_MAX = 15_000;
/** One request to a unit, with all its repeats. */
export const UNIT_REQUEST_MS = 10_000;
/** How often a unit is asked for its progress while it zeroes for somebody who waits. */
export const ZEROING_POLL_MS = 250;
/** A task gives up on a leg whose unit was out of reach for this long. */
export const LEG_UNREACHABLE_MS_MAX = 20_000;
/** A release or switch of access waits this long for a host that is there, then fences. */
export const HOST_DETACH_MS_MAX = 15_000;
/** How long a task waits for the host to take a map before it leaves that as debt. */
export const HOST_DELIVERY_MS_MAX = 15_000;
export const TASKS_KEPT_MAX = 1000;
export const TASKS_ACTIVE_MAX = 256;
export const TASK_LOG_LINES_MAX = 200;
export const EVENTS_KEPT_MAX = 100_000;
/** Event numbers are reserved durably in blocks of this many. */
export const EVENT_NUMBER_BLOCK = 1000;
/** Observed state and task progress are saved this often. */
export const SNAPSHOT_MS = 2000;

// The kernel seam (storage/io).
/** Operations under way at once in one Io, and open handles; reaching one is a bug of a caller. */
export const IO_OPERATIONS_MAX = 16 * KIB;
export const IO_HANDLES_MAX = 16 * KIB;
/** Pairs of one gathered send. */
export const SEND_SEGMENTS_MAX = 128;
/** Gathered sends and connects that the kernel holds at once; more wait in order. */
export const IO_MESSAGES_MAX = 1 * KIB;
/** Buffers for `receive`, at most a power of two of 32,768 (a limit of the kernel's ring). */
export const RECEIVE_BUFFERS = 64;
export const RECEIVE_BUFFERS_MAX = 32 * KIB;
export const URING_ENTRIES = 1 * KIB;
export const URING_COMPLETIONS = 8 * KIB;
/** Zeroes are written in pieces of this where the file system cannot make them itself. */
export const ZERO_WRITE_BYTES = 1 * MIB;
/** TCP keep-alive: a peer that vanished is noticed after about idle + probes * interval. */
export const KEEPALIVE_IDLE_S = 20;
export const KEEPALIVE_INTERVAL_S = 5;
export const KEEPALIVE_PROBES = 4;

// The process (roles/process).
/** All shutdown steps of a process together. */
export const SHUTDOWN_TIMEOUT_MS = 20_000;
/** Requests under way when an HTTP server closes; event streams would never end. */
export const HTTP_CLOSE_TIMEOUT_MS = 2_000;
/** How long a host's I/O waits for a unit that is away, unless set otherwise. */
export const IO_TIMEOUT_MS_DEFAULT = 10 * 60_000;
export const CONFIG_FILE_BYTES_MAX = 1 * MIB;
export const DURATION_MS_MAX = 366 * 24 * 3_600_000;
