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

// Roles: the agent's local socket and waiting for the station.
export const LOCAL_LINE_BYTES_MAX = 1 * MIB;
/** sun_path has 108 bytes, the last of them zero. */
export const UNIX_PATH_BYTES_MAX = 107;
export const HEARTBEAT_MS = 1000;
export const TASK_POLL_MS_MIN = 20;
export const TASK_POLL_MS_MAX = 1000;
export const DRAIN_MS_MAX = 10_000;
