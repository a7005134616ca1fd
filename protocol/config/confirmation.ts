import type { Message } from "./asking.ts";
import { NO_REVISION } from "./packet.ts";

const BARE = { type: "ACK", correlation: 0, page: 0, pages: 1, revision: NO_REVISION } as const;

/** A node's first packet under new keys. It asks for nothing, but the station switches to them. */
export const CONFIRMATION: Message = { ...BARE, kind: "sealed" };

/** The station's answer to it: what a node waits for before it uses the keys. */
export const CONFIRMED: Message = { ...BARE, kind: "part" };
