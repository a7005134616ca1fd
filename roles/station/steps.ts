import type { StationLink } from "../../protocol/config/link.ts";
import type { AnswerBody } from "../../protocol/config/requests.ts";
import { UNIT_REQUEST_MS } from "../../protocol/core/limits.ts";
import { legInfoOf } from "./assignments.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { PlanStep } from "./plan.ts";

/** The steps that are a request to the unit. */
export type SentStep = Extract<
  PlanStep,
  { kind: "create" | "resize" | "relabel" | "shrink" | "grant" | "revoke" | "delete" }
>;

export interface StepTarget {
  readonly unitId: string;
  readonly link: StationLink;
  readonly station: { readonly epoch: number; readonly instance: string };
  readonly catalog: Catalog;
  /** For what takes something away or lets a host in: it is withdrawn. Null: never. */
  readonly withdrawn: AbortSignal | null;
}

/** Sends a step with the volume's UUID, the epoch and the sequence that it goes out from. */
export function sendStep(
  step: SentStep,
  { unitId, link, station, catalog, withdrawn }: StepTarget,
): Promise<AnswerBody<"VOLUME_CREATE">> {
  const options = { timeoutMs: UNIT_REQUEST_MS };
  const revocable = withdrawn === null ? options : { ...options, signal: withdrawn };
  const volumeId = "volume" in step ? step.volume.id : step.volumeId;
  const expectedSequence = step.kind === "create" ? 0 : step.sequence;
  const change = { station, volumeId, expectedSequence };
  switch (step.kind) {
    case "create":
    case "resize":
    case "shrink": {
      const { sizeBytes } = step.volume;
      const body = { ...change, sizeBytes, leg: legInfoOf(catalog, step.volume.id) };
      const name = step.kind === "create" ? "VOLUME_CREATE" : "VOLUME_RESIZE";
      return link.request(unitId, name, body, step.kind === "shrink" ? revocable : options);
    }
    case "relabel": {
      const { sizeBytes } = step.volume;
      const leg = { ...legInfoOf(catalog, step.volume.id), legs: step.legs };
      return link.request(unitId, "VOLUME_RESIZE", { ...change, sizeBytes, leg }, options);
    }
    case "grant": {
      const { epoch, counter, tokenHash, addressesJson } = step.grant;
      const { ownerId, ownerKey } = legInfoOf(catalog, step.volume.id);
      const direct = tokenHash === null ? {} : {
        direct: { tokenHash, addresses: JSON.parse(addressesJson ?? "[]") as string[] },
      };
      const body = {
        ...change,
        generation: { epoch, counter },
        hostId: ownerId,
        hostKey: ownerKey,
        sizeBytes: step.volume.sizeBytes,
        ...direct,
      };
      return link.request(unitId, "ACCESS_GRANT", body, revocable);
    }
    case "revoke": {
      const body = { ...change, generation: step.generation };
      return link.request(unitId, "ACCESS_REVOKE", body, revocable);
    }
    case "delete":
      return link.request(unitId, "VOLUME_DELETE", change, revocable);
  }
}
