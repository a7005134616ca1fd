import type { Generation } from "../../protocol/config/bodies.ts";
import type { AttachAnswer, AttachRefusal } from "../../protocol/nbd/attach.ts";
import type { KeyPair } from "../../protocol/noise/handshake.ts";
import type { Handle, Off, SocketAddress } from "../io/io.ts";
import type { TlsDoor } from "../tls/door.ts";
import type { ClientExport } from "./client_terms.ts";

/** How an attaching ended. */
export type AttachOutcome =
  | {
    readonly kind: "attached";
    readonly handle: Handle;
    readonly answer: AttachAnswer;
    readonly served: ClientExport;
  }
  | {
    readonly kind: "failed";
    /** What the unit answered, when it proved to speak our protocol; null otherwise. */
    readonly refusal: AttachRefusal | null;
    readonly reason: string;
    /** The attachment number to go above, where this one was too low. */
    readonly outrunBy: number | null;
  };

export interface UnitAttachOptions {
  readonly to: SocketAddress;
  readonly volumeId: string;
  readonly generation: Generation;
  /** Never used before. */
  readonly attachment: number;
  readonly host: KeyPair;
  readonly unitKey: Uint8Array;
  /** Fresh. */
  readonly ephemeral: KeyPair;
  /** NBD_ATTACH_OUTPUT_BYTES_MAX of the arena, the caller's again after the outcome. */
  readonly buffer: Off;
  /** For all of it, from the connect to GO's answer. */
  readonly timeoutMs: number;
  /** How it is secured; not at all when not given. `unitUri`: what the certificate must name. */
  readonly tls?: { readonly door: TlsDoor; readonly unitUri: string };
}
