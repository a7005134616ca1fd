import type { FuzzTarget } from "./target.ts";
import { BODIES } from "./targets/bodies.ts";
import { CONFIG_PACKETS } from "./targets/config_packets.ts";
import { HOSTILE_UNIT } from "./targets/hostile_unit.ts";
import { LABELS } from "./targets/labels.ts";
import { NBD_CLIENT } from "./targets/nbd_client.ts";
import { CLIENT_NEGOTIATION, SERVER_NEGOTIATION } from "./targets/nbd_negotiation.ts";
import { NBD_SERVER } from "./targets/nbd_server.ts";
import { REST } from "./targets/rest.ts";
import { SIZES } from "./targets/sizes.ts";
import { TLS_LEG } from "./targets/tls_leg.ts";

export const TARGETS: readonly FuzzTarget[] = [
  SERVER_NEGOTIATION,
  CLIENT_NEGOTIATION,
  NBD_SERVER,
  NBD_CLIENT,
  HOSTILE_UNIT,
  TLS_LEG,
  CONFIG_PACKETS,
  LABELS,
  BODIES,
  SIZES,
  REST,
];
