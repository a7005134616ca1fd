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
