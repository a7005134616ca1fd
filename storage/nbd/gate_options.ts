import type { Random } from "../../protocol/core/random.ts";
import type { KeyPair } from "../../protocol/noise/handshake.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Device } from "../devices/device.ts";
import type { GrantTable } from "../grants/grant_table.ts";
import type { LetInRuns } from "../grants/let_in_runs.ts";
import type { DirectMarks } from "./direct_marks.ts";
import type { ExportGate } from "./server_types.ts";

/** What the gate needs to know of the unit's volumes. */
export interface GrantedVolumes {
  /** The volume with its present size, for one more connection; null: it cannot be served now. */
  device(volumeId: string): Device | null;
  /** Where its requests are counted. */
  counters(volumeId: string): CounterRow;
  /** Changes when acknowledged writes may have been forgotten; VERIFIER_BYTES long. */
  verifier(volumeId: string): Uint8Array;
  /** The same, but for what a process forgets by ending; CONTINUITY_BYTES long. */
  continuity(volumeId: string): Uint8Array;
}

export interface UnitGateOptions {
  readonly table: GrantTable;
  /** Whose runs have to be kept before they are let in. */
  readonly runs: Pick<LetInRuns, "letIn">;
  readonly volumes: GrantedVolumes;
  /** The unit's identity. */
  readonly unit: KeyPair;
  readonly random: Random;
  /** What is known of losses to those who come by a token. */
  readonly direct: DirectMarks;
  /** Answers for every name that is no grant's. */
  readonly others: ExportGate;
}
