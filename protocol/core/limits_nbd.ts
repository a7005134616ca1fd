/** Limits of NBD (protocol/nbd, storage/nbd): part of limits.ts. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const NBD_PORT = 10809;
export const NBD_STRING_BYTES_MAX = 4096;
export const NBD_PAYLOAD_BYTES_MAX = 32 * MIB;
/** Data of the private option ATTACH: a volume's UUID and one short Noise message. */
export const NBD_ATTACH_BYTES_MAX = 512;

// NBD server connections (storage/nbd/server*.ts).
/** A client has this long to reach transmission. */
export const NBD_NEGOTIATION_MS = 10_000;
/**
 * While somebody waits for a buffer or a request, a client that has not taken one send, or not
 * finished one payload, for this long is cut off.
 */
export const NBD_STALL_MS = 30_000;
/** While a connection stays unread, its server looks so often whether the client is still there. */
export const NBD_GONE_LOOK_MS = 1000;
export const NBD_CONNECTIONS_MAX = 1024;
export const NBD_NEGOTIATING_MAX = 128;
/** What an operator may set deadlines and caps of data connections to. */
export const CONNECTION_TIMEOUT_MS_MIN = 100;
export const CONNECTION_TIMEOUT_MS_MAX = 10 * 60_000;
/** I/O that fails the moment a connection is made anew is of no use to anybody. */
export const IO_TIMEOUT_MS_MIN = 1000;
export const CONNECTIONS_CEILING = 16 * KIB;
/** Options whose payload is read; longer ones are drained and refused. */
export const NBD_OPTION_BYTES_MAX = 16 * KIB;
export const NBD_OPTIONS_MAX = 8192;
/** What a client accepts from a server: replies to one option, bytes of one and of all of them. */
export const NBD_OPTION_REPLIES_MAX = 4096;
export const NBD_OPTION_REPLY_BYTES_MAX = 16 * KIB;
export const NBD_OPTION_REPLIES_BYTES_MAX = 256 * KIB;
/**
 * What a READ's buffer has before the data, for the reply's header: a page, so that data begins at
 * a page and O_DIRECT can be had.
 */
export const READ_HEADROOM_BYTES = 4 * KIB;
/** After a payload of so much headers are received by themselves, and payloads where they go. */
export const NBD_PAYLOAD_APART_BYTES_MIN = 16 * KIB;
/** Of a status chunk, as the protocol has it; and what our server tells in one. */
export const NBD_STATUS_DESCRIPTORS_MAX = 2 ** 20;
export const NBD_STATUS_DESCRIPTORS_AT_ONCE = 256;
/** What a file is asked about at data, and how often for one answer, which then ends early. */
export const ALLOCATION_GRAIN_BYTES = 64 * KIB;
export const ALLOCATION_LOOKS_MAX = 256;
/** Of a device, what is known to be zero is kept in grains of so much, a bit for each. */
export const KNOWN_ZERO_GRAIN_BYTES = 1024 * KIB;
/** What was changed since the last sync is kept in chunks of so much, a bit or two for each. */
export const UNSYNCED_CHUNK_BYTES = 1024 * KIB;
/** An error chunk that a client accepts: its text is at most a string, and little goes with it. */
export const NBD_ERROR_CHUNK_BYTES_MAX = 4096 + 64;
/** Pieces of one READ's reply that do not touch each other; a client drops a server with more. */
export const NBD_SCATTERED_CHUNKS_MAX = 64;
/** Queue depth of the Linux client is 128. */
export const NBD_REQUESTS_PER_CONNECTION_MAX = 128;
export const NBD_REQUESTS_PER_SERVER_MAX = 4096;
/** Replies of one turn leave when there are so many bytes of them, and at its end. */
export const NBD_REPLY_BATCH_BYTES = 32 * KIB;
/** Payloads smaller than this leave for a unit when there is so much of them, or a turn ends. */
export const NBD_SEND_BATCH_BYTES = 32 * KIB;
/** So many rounds of a turn a reply may wait for that of a request whose payload is coming. */
export const NBD_REPLY_WAITS_MAX = 6;
/** Requests of so much at most to a medium in memory are served in one go. */
export const NBD_AT_ONCE_BYTES_MAX = 16 * KIB;
/** Of a medium in memory requests of so much are served one by one, each connection's. */
export const NBD_SERIAL_BYTES_MIN = 64 * KIB;
/** Payload buffers that one connection may hold: one largest payload, or 32 of 1 MiB. */
export const NBD_CONNECTION_HELD_BYTES_MAX = 33 * MIB;
/** Kinds of errors that a server remembers having logged; each is logged again after this. */
export const DEVICE_ERRORS_KEPT_MAX = 256;
export const DEVICE_ERROR_AGAIN_MS = 60_000;
/** Free ones that a server keeps for bytes of connections that have to wait: 64 KiB each. */
export const NBD_KEPT_FREE_MAX = 64;
