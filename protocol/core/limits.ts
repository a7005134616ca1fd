/**
 * Every limit of dvsan in one place: fields, queues, loops, retries, caches and times. Relations
 * between limits are asserted in limits_test.ts. Sections follow the folders.
 */

import { NBD_PAYLOAD_BYTES_MAX } from "./limits_nbd.ts";

export * from "./limits_io.ts";
export * from "./limits_nbd.ts";
export * from "./limits_counters.ts";
export * from "./limits_tls.ts";
export * from "./limits_truth.ts";

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
/** On one label: parts of volumes whose right medium may come back. */
export const REPLACED_PARTS_MAX = 128;
export const EXTENTS_PER_VOLUME_MAX = 128;
export const LEGS_PER_DISK_MAX = 16;
/** The legs of a disk that is rebuilt add up to a safe number, whatever units tell. */
export const DISK_SIZE_BYTES_MAX = 256 * TIB;
export const DISKS_PER_HOST_MAX = 256;
export const NODES_MAX = 4096;
export const ADDRESSES_PER_NODE_MAX = 16;

// Config protocol (protocol/config).
/** A reason, or what a task does now. */
export const TEXT_CHARACTERS_MAX = 1024;
export const PACKET_BYTES_MAX = 1200;
export const CONTROL_PORT = 10810;
/** Where nodes with `--station auto` look; a station's socket joins it (organisation-local). */
export const STATION_MULTICAST_ADDRESS = "239.255.68.86";
/** A request's body, whole: an assignment with all legs and all addresses fits twice. */
export const REQUEST_BODY_BYTES_MAX = 64 * KIB;
/** An answer's body, whole: the storage information of a unit with every table full fits. */
export const ANSWER_BODY_BYTES_MAX = 8 * MIB;
/** Pages of a request that are sent before one of them was acknowledged. */
export const PUSH_WINDOW_PAGES = 16;
/** Pages of an answer that are asked for before one of them came. */
export const PULL_WINDOW_PAGES = 32;
/** How often an answer may change while it is pulled before the asker gives up. */
export const ANSWER_RESTARTS_MAX = 16;
/** Requests to one peer that wait for their answer. */
export const REQUESTS_PER_PEER_MAX = 256;
/** A peer's requests that are being handled at the same time. */
export const HANDLING_PER_PEER_MAX = 64;
/** Requests of several pages of which some pages are here: for each peer, and in total. */
export const COLLECTING_PER_PEER_MAX = 4;
export const COLLECTING_MAX = 256;
export const COLLECTING_MS_MAX = 60_000;
/** Answers kept for duplicates: for each peer, in total, and their bytes in total. */
export const KEPT_ANSWERS_PER_PEER_MAX = 256;
export const KEPT_ANSWERS_MAX = 16_384;
export const KEPT_ANSWER_BYTES_MAX = 32 * MIB;
/** Of a disk's map, as a host says that it holds it: above this nothing could be told any more. */
export const MAP_VERSION_LEARNED_MAX = 2 ** 52;
/** Between two claims of a newer map that a station follows for one disk. */
export const MAP_FOLLOWED_MS_MIN = 60_000;
/** A peer that restarted counts its requests from a random start of 48 bits: it is farther. */
export const CORRELATION_JUMP = 2 ** 20;
/** How long after new keys packets under the old ones, which were under way, are taken. */
export const OLD_KEYS_MS = 10_000;
/** How far behind the newest packet of a session one may come and still be taken. */
export const REPLAY_WINDOW_PACKETS = 1024;
/** A node makes new keys at this age or after so many packets, whichever is first … */
export const REKEY_AFTER_MS = 30 * 60_000;
export const REKEY_AFTER_PACKETS = 2 ** 24;
/** … and at these nobody uses the old ones any more. */
export const SESSION_AGE_MS_MAX = 90 * 60_000;
export const SESSION_PACKETS_MAX = 2 ** 28;
/** All repeats of a request together, unless its caller says otherwise. */
export const REQUEST_TIMEOUT_MS = 15_000;
export const REPEAT_MS_MIN = 200;
export const REPEAT_MS_MAX = 2_000;
/** A node that heard nothing for so long while it asks looks for its station anew. */
export const STATION_SILENCE_MS = 4_000;
/** Between a node's handshakes: the first, and what doubling ends at. */
export const HANDSHAKE_REPEAT_MS_MIN = 250;
export const HANDSHAKE_REPEAT_MS_MAX = 5_000;
/** A refused node asks again after this long. */
export const REFUSED_REPEAT_MS = 5_000;
/** At most one handshake in this time is started because of a hint. */
export const HINT_HANDSHAKE_MS = 2_000;
/** How often a node repeats its confirmation of new keys before it starts over. */
export const CONFIRM_REPEATS_MAX = 6;
/** Answered handshakes that were not confirmed yet: of nodes that are members, and of others. */
export const HALF_OPEN_KNOWN_MAX = NODES_MAX;
export const HALF_OPEN_STRANGERS_MAX = 256;
export const HALF_OPEN_PER_NODE_MAX = 8;
export const HALF_OPEN_MS_MAX = 30_000;
/** Confirmed handshakes whose message 1 is remembered, so that a replay of it costs nothing. */
export const USED_HANDSHAKES_MAX = 16_384;
/** Handshakes a second, and at once after a pause: of strangers, from one address and in total … */
export const HANDSHAKES_PER_ADDRESS = { perSecond: 10, burst: 20 };
export const HANDSHAKES_OF_STRANGERS = { perSecond: 100, burst: 200 };
/** … and of members, each and in total. */
export const HANDSHAKES_PER_NODE = { perSecond: 1, burst: 10 };
export const HANDSHAKES_OF_MEMBERS = { perSecond: 500, burst: 2 * NODES_MAX };
/** Hints about unknown sessions a second: to one address, and in total. */
export const HINTS_PER_ADDRESS = { perSecond: 2, burst: 20 };
export const HINTS = { perSecond: 500, burst: 2 * NODES_MAX };
/** Addresses or nodes that one rate limit tells apart; the one unused longest is forgotten. */
export const RATE_LIMIT_KEYS_MAX = 4096;

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

/** Of one request over many extents, so many parts are under way at a time. */
export const EXTENT_PARTS_AT_ONCE = 16;

// Host data: NBD client connections (storage/nbd/client*.ts), the legs of disks (storage/devices).
/** One try to attach, from the connect to GO's answer. */
export const ATTACH_TIMEOUT_MS = 10_000;
/** All that a client sends before it waits for the unit. */
export const NBD_ATTACH_OUTPUT_BYTES_MAX = 2 * KIB;
/** Silence for so long while requests are under way: the connection counts as lost. */
export const CLIENT_REPLY_TIMEOUT_MS = 30_000;
/** What a leg keeps for a replay; half of it makes the leg flush by itself. */
export const LEG_LOG_BYTES_MAX = 64 * MIB;
export const LEG_LOG_ENTRIES_MAX = 32 * KIB;
/** What the logs of all legs of a host keep, unless it is told otherwise; and its least. */
export const REPLAY_MEMORY_BYTES = 256 * MIB;
export const REPLAY_MEMORY_BYTES_MIN = 2 * NBD_PAYLOAD_BYTES_MAX;
/** Copied payloads take memory by so much. */
export const LEG_LOG_CHUNK_BYTES = 64 * KIB;
/** Requests that a leg holds, waiting and under way; more are refused with ENOMEM. */
export const LEG_REQUESTS_MAX = 16 * KIB;
export const LEG_REPLAYS_MAX = 16;
export const LEG_REPLAY_PIECE_BYTES = 64 * KIB;
/** Pause before trying to attach again, doubled up to the most. */
export const LEG_BACKOFF_MS_MIN = 20;
export const LEG_BACKOFF_MS_MAX = 2000;
/** A leg that was ready for so long starts its pauses anew. */
export const LEG_STABLE_MS = 5000;
/**
 * Consumers that come back by themselves over a restart of their host's agent are there within this
 * time after their unit is.
 */
export const LEG_RETURN_MS = 60_000;
/** Longer zeroes, discards and readaheads go on in pieces, so that no single one takes long. */
export const RANGE_PIECE_BYTES_MAX = 64 * MIB;
/** So many pieces of one are under way at a time: others have their turns in between. */
export const RANGE_PIECES_AT_ONCE = 2;
/** How long attaching a disk waits for its units before it answers that it still waits. */
export const DISK_ATTACH_WAIT_MS = 3000;
/** How long a detached disk's requests and its last flush may take. */
export const DISK_DETACH_WAIT_MS = 10_000;
export const DISK_CONNECTIONS_MAX = 64;
/** Requests of all consumers of a disk; each disk has its own. */
export const DISK_REQUESTS_MAX = 512;

// Web.
export const WEB_PORT = 8080;
export const WEB_BODY_BYTES_MAX = 64 * KIB;
export const WEB_STREAMS_MAX = 64;
export const WEB_STREAM_PING_MS = 15_000;
export const WEB_PAGE_ITEMS_MAX = 1000;
export const WEB_PAGE_ITEMS = 200;

// Grants and the data worker (storage/grants, storage/worker).
export const CONNECTIONS_PER_GRANT_MAX = 16;
/**
 * Attachment numbers come in runs of so many, each from a multiple of this on. A host has one run
 * at a time, and two copies of a host have different ones, so that a unit has to keep no more of
 * whom it let in than the run.
 */
export const ATTACHMENTS_PER_RUN = 2 ** 16;
/** How long an attach waits until it is kept that its run was let in. */
export const LET_IN_KEPT_MS_MAX = 2_000;
/** Hosts that held a grant before, kept to tell them that they were fenced. */
export const FORMER_HOLDERS_MAX = 4;
/** Of the export name that carries a direct grant's token. */
export const DIRECT_TOKEN_BYTES_MAX = 128;
/** How long a call waits for a fence before it answers that it is still under way. */
export const FENCE_ANSWER_MS_MAX = 5_000;
/** How long the data worker sleeps at most when nothing wakes it. */
export const WORKER_TURN_MS_MAX = 1_000;
/**
 * The data worker's buffers. Each class has a page more than a round size, for the header that
 * stands before the data. Half of each may be kept by hosts for replays (Buffers.keep), which is
 * what the middle ones have so many for. The memory is touched, and so taken, only as far as it is
 * used.
 */
export const WORKER_BUFFERS = [
  { bytes: 8 * KIB, count: 8192 },
  { bytes: 68 * KIB, count: 1024 },
  { bytes: 260 * KIB, count: 256 },
  { bytes: MIB + 4 * KIB, count: 96 },
  { bytes: 4 * MIB + 4 * KIB, count: 16 },
  { bytes: NBD_PAYLOAD_BYTES_MAX + 4 * KIB, count: 4 },
] as const;

// Roles: the agent's local socket and waiting for the station.
export const LOCAL_LINE_BYTES_MAX = 1 * MIB;
/** sun_path has 108 bytes, the last of them zero. */
export const UNIX_PATH_BYTES_MAX = 107;
export const HEARTBEAT_MS = 1000;
export const TASK_POLL_MS_MIN = 20;
export const TASK_POLL_MS_MAX = 1000;
export const DRAIN_MS_MAX = 10_000;
/** How long a stopping node tries to say goodbye, and how long it says that it will be away. */
export const GOODBYE_MS_MAX = 1000;
export const NODE_AWAY_MS = 600_000;

// Station (roles/station).
/** A host that holds other disks than the station wants tells of so many legs in a heartbeat. */
export const HELD_LEGS_TOLD_MAX = 64;
/** A node is silent when nothing was heard from it for this long. */
export const NODE_SILENT_MS = 6 * HEARTBEAT_MS;
/**
 * Requests for space wait this long after a start for the units that were in the pool before. They
 * may be just behind a handshake that nobody answered.
 */
export const UNITS_RETURN_MS = 2 * HANDSHAKE_REPEAT_MS_MAX;
export const STATION_TICK_MS = 500;
/** Nodes that wait for approval; further ones are refused. */
export const NODES_PENDING_MAX = 256;
/** Revoked nodes that the station's identity file remembers; the catalog has them, too. */
export const REVOKED_NODES_MAX = NODES_MAX;
/** Of hosts that were admitted without an administrator. */
export const HOST_QUOTA_BYTES_DEFAULT = 1 * TIB;
/** Backoff of what the reconciler repeats. */
export const RECONCILE_RETRY_MS_MIN = 200;
export const RECONCILE_RETRY_MS_MAX = 15_000;
/** A disk that was found half made and could not be finished is tried again after so long. */
export const FINISH_AGAIN_MS = 60_000;
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

// The process (roles/process).
/** All shutdown steps of a process together. */
export const SHUTDOWN_TIMEOUT_MS = 20_000;
/** Requests under way when an HTTP server closes; event streams would never end. */
export const HTTP_CLOSE_TIMEOUT_MS = 2_000;
/** How long a host's I/O waits for a unit that is away, unless set otherwise. */
export const IO_TIMEOUT_MS_DEFAULT = 10 * 60_000;
/** How long a child process may take to end before it is killed: longer than it takes itself. */
export const CHILD_STOP_TIMEOUT_MS = SHUTDOWN_TIMEOUT_MS + 2_000;
/** One read of a stream socket outside the data worker. */
export const STREAM_READ_BYTES_MAX = 64 * KIB;
export const CONFIG_FILE_BYTES_MAX = 1 * MIB;
export const DURATION_MS_MAX = 366 * 24 * 3_600_000;
