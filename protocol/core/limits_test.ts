import assert from "node:assert/strict";
import * as limits from "./limits.ts";

/** Each holds by what the limits are for; the text says what breaks where it does not. */
const RELATIONS: readonly (readonly [string, boolean])[] = [
  // Geometry.
  ["blocks fill a size step", limits.SIZE_STEP_BYTES % limits.LBA_BYTES === 0],
  ["size steps fill an extent step", limits.EXTENT_STEP_BYTES % limits.SIZE_STEP_BYTES === 0],
  ["a header fills extents", limits.VOLUME_HEADER_BYTES % limits.EXTENT_STEP_BYTES === 0],
  [
    "the smallest medium has room for both labels and one volume",
    2 * limits.LABEL_REGION_BYTES + limits.VOLUME_HEADER_BYTES + limits.EXTENT_STEP_BYTES <=
      limits.MEDIUM_SIZE_BYTES_MIN,
  ],
  ["a label keeps its reserve", limits.LABEL_RESERVE_BYTES < limits.LABEL_REGION_BYTES],
  ["positions on the largest medium are safe", Number.isSafeInteger(limits.MEDIUM_SIZE_BYTES_MAX)],
  [
    "a station waits for a unit that opens its media anew",
    4 * limits.MEDIUM_SETTLE_MS_MAX + 2 * limits.MEDIUM_OPEN_MS_MAX <= limits.MEDIUM_CHANGE_MS_MAX,
  ],

  // Config protocol.
  ["a packet fits IPv6's smallest MTU", limits.PACKET_BYTES_MAX <= 1280 - 40 - 8],
  ["keys are renewed before they are too old", limits.REKEY_AFTER_MS < limits.SESSION_AGE_MS_MAX],
  [
    "keys are renewed before they are used up",
    limits.REKEY_AFTER_PACKETS < limits.SESSION_PACKETS_MAX,
  ],
  [
    "copies under old keys are answered from memory",
    limits.KEPT_ANSWERS_PER_PEER_MAX >= limits.HANDLING_PER_PEER_MAX,
  ],
  [
    "a request is repeated before it is given up",
    4 * limits.REPEAT_MS_MAX <
      limits.REQUEST_TIMEOUT_MS,
  ],
  [
    "units can be back before anybody is told that there is no room",
    limits.UNITS_RETURN_MS >= 1.5 * limits.HANDSHAKE_REPEAT_MS_MAX,
  ],
  [
    "who asks for space hears it after the units' return",
    limits.UNITS_RETURN_MS + limits.NODE_SILENT_MS / 2 < limits.REQUEST_TIMEOUT_MS,
  ],
  [
    "a node is not silent for a heartbeat or two that were lost",
    limits.NODE_SILENT_MS >= 3 * limits.HEARTBEAT_MS,
  ],
  [
    "meters of a watched node leave a heartbeat room for the rest",
    limits.METERS_BYTES_WATCHED_MAX + limits.CONNECTIONS_BYTES_WATCHED_MAX +
        limits.HELD_LEGS_TOLD_MAX * 192 <= limits.REQUEST_BODY_BYTES_MAX,
  ],
  [
    "meters leave half a packet to the rest of a heartbeat",
    limits.METERS_BYTES_MAX <= limits.PACKET_BYTES_MAX * 0.55,
  ],
  [
    "the station waits longer for a leg than for one request",
    limits.UNIT_REQUEST_MS <
      limits.LEG_UNREACHABLE_MS_MAX,
  ],

  // Data path.
  [
    "a connection may hold the largest payload",
    limits.NBD_CONNECTION_HELD_BYTES_MAX > limits.NBD_PAYLOAD_BYTES_MAX,
  ],
  [
    "the largest payload fits a buffer, with its header before it",
    limits.WORKER_BUFFERS.some(({ bytes }) => bytes >= limits.NBD_PAYLOAD_BYTES_MAX + 16),
  ],
  [
    "buffer classes rise",
    limits.WORKER_BUFFERS.every(({ bytes }, i, all) => i === 0 || bytes > all[i - 1]!.bytes),
  ],
  ["the log holds two payloads", limits.LEG_LOG_BYTES_MAX >= 2 * limits.NBD_PAYLOAD_BYTES_MAX],
  [
    "requests over many extents leave the Io operations",
    limits.NBD_REQUESTS_PER_SERVER_MAX * limits.EXTENT_PARTS_AT_ONCE < limits.IO_OPERATIONS_MAX,
  ],
  [
    "every disk's connections and legs have handles",
    limits.DISKS_PER_HOST_MAX *
        (limits.DISK_CONNECTIONS_MAX + limits.LEGS_PER_DISK_MAX + 1) <
      limits.IO_HANDLES_MAX,
  ],
  ["every connection has a handle", limits.CONNECTIONS_CEILING < limits.IO_HANDLES_MAX],
  ["strangers do not fill a unit", limits.NBD_NEGOTIATING_MAX < limits.NBD_CONNECTIONS_MAX],
  ["a token fits an export's name", limits.DIRECT_TOKEN_BYTES_MAX <= limits.NBD_STRING_BYTES_MAX],
  [
    "a leg is attached or given up before replies are missed",
    limits.ATTACH_TIMEOUT_MS < limits.CLIENT_REPLY_TIMEOUT_MS,
  ],

  // Ends.
  [
    "a role drains and says goodbye before its process gives up",
    limits.DRAIN_MS_MAX + limits.GOODBYE_MS_MAX + limits.HTTP_CLOSE_TIMEOUT_MS <
      limits.SHUTDOWN_TIMEOUT_MS,
  ],
  [
    "secured connections end within what a shutdown may take, behind the drain",
    limits.DRAIN_MS_MAX + limits.TLS_LINGER_MS + limits.GOODBYE_MS_MAX <
      limits.SHUTDOWN_TIMEOUT_MS,
  ],
  [
    "a unit's connections can all be secured",
    limits.NBD_CONNECTIONS_MAX <= limits.TLS_CONNECTIONS_MAX,
  ],
  [
    "a certificate and its authority's fit one packet",
    2 * limits.CERTIFICATE_BYTES_MAX + 64 < limits.PACKET_BYTES_MAX - 72 - 16,
  ],
  ["a host detaches within a drain", limits.DISK_DETACH_WAIT_MS <= limits.DRAIN_MS_MAX],
  ["a child ends before it is killed", limits.SHUTDOWN_TIMEOUT_MS < limits.CHILD_STOP_TIMEOUT_MS],
  [
    "a host that detaches is not fenced meanwhile",
    limits.DISK_DETACH_WAIT_MS < limits.HOST_DETACH_MS_MAX,
  ],
  [
    "the legs of a disk add up to a safe number",
    Number.isSafeInteger(limits.LEGS_PER_DISK_MAX * limits.DISK_SIZE_BYTES_MAX),
  ],
  [
    "a unit's revisions are safe numbers",
    Number.isSafeInteger((limits.MEDIUM_OPENS_MAX + 1) * limits.REVISIONS_PER_OPENING),
  ],
  [
    "above an epoch that was told there are a billion starts",
    limits.EPOCH_MAX - limits.EPOCH_TOLD_MAX > 1e9,
  ],
  [
    "of the last epoch there are versions of maps, of one that was told a host's word is taken",
    Number.isSafeInteger((limits.EPOCH_MAX + 1) * limits.MAP_VERSIONS_PER_EPOCH) &&
    limits.EPOCH_TOLD_MAX * limits.MAP_VERSIONS_PER_EPOCH < limits.MAP_VERSION_LEARNED_MAX,
  ],
];

for (const [name, holds] of RELATIONS) {
  Deno.test(`limits: ${name}`, () => assert.ok(holds));
}
