import { bytesEqual } from "../../protocol/core/bytes.ts";
import type { Random } from "../../protocol/core/random.ts";
import {
  ATTACH_REFUSALS,
  type AttachOption,
  type AttachRefusal,
  type AttachRequest,
  AttachServer,
} from "../../protocol/nbd/attach.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { type KeyPair, keyPairOf } from "../../protocol/noise/handshake.ts";
import type { GrantTerms } from "../grants/grant_state.ts";
import type { OptionAnswer } from "./server_types.ts";

/** A host that proved the key of a grant, and what it asks for. */
export interface Proven {
  readonly kind: "proven";
  readonly holder: GrantTerms;
  readonly request: AttachRequest;
  /** Writes the answer. */
  readonly server: AttachServer;
}

export type Refused = OptionAnswer & { readonly kind: "refused" };

/** Finds the grant, present or former, whose holder's key the message proves. */
export function proveHolder(
  challenge: Uint8Array,
  option: AttachOption,
  by: { unit: KeyPair; random: Random; holders: readonly GrantTerms[] },
): Proven | Refused {
  if (by.holders.length === 0) return refused("unknown", "no grant of this volume is known here");
  const tried: Uint8Array[] = [];
  for (const holder of by.holders) {
    if (tried.some((key) => bytesEqual(key, holder.hostKey))) continue;
    tried.push(holder.hostKey);
    const server = new AttachServer(challenge, {
      volumeId: option.volumeId,
      unit: by.unit,
      hostKey: holder.hostKey,
      ephemeral: keyPairOf(by.random.bytes(32)),
    });
    const request = server.readRequest(option.message);
    if (request !== null) return { kind: "proven", holder, request, server };
  }
  return refused("denied", "the proof does not fit the grant");
}

export function refused(refusal: AttachRefusal, text: string): Refused {
  return { kind: "refused", type: ATTACH_REFUSALS[refusal], text };
}

export function invalid(text: string): Refused {
  return { kind: "refused", type: REPLY_ERROR.invalid, text };
}
