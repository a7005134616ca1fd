import { createHash } from "node:crypto";
import { uuidBytes } from "../../protocol/nbd/attach.ts";
import type { UnitStore } from "../media/unit_store.ts";
import type { UnitMedia } from "./unit_media.ts";

interface History {
  readonly bootId: string;
  readonly store: Pick<UnitStore, "served" | "mediumHistory" | "mediumContinuity">;
}

/** Of a volume for AttachAnswer. */
export function verifierOf(volumeId: string, of: History): Uint8Array {
  return tokenOf("verifier", volumeId, { ...of, part: (id) => of.store.mediumHistory(id) });
}

/** Of a volume for AttachAnswer. */
export function continuityOf(
  volumeId: string,
  of: History & { readonly media: Pick<UnitMedia, "incarnation"> },
): Uint8Array {
  const part = (id: string) => `${of.media.incarnation(id)} ${of.store.mediumContinuity(id)}`;
  return tokenOf("continuity", volumeId, { ...of, part });
}

/** Differs when the machine was started anew, or what `part` tells of one of the media differs. */
function tokenOf(
  what: string,
  volumeId: string,
  { bootId, store, part }: History & { readonly part: (mediumId: string) => string },
): Uint8Array {
  const hash = createHash("sha256").update(`dvsan ${what} 1`).update(bootId);
  const ids = new Set(store.served(volumeId)?.extents.map(({ mediumId }) => mediumId));
  for (const id of [...ids].sort()) hash.update(uuidBytes(id)).update(`${part(id)};`);
  return new Uint8Array(hash.digest());
}
