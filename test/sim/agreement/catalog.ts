import { DatabaseSync } from "node:sqlite";
import { fromUtf8 } from "../../../protocol/core/bytes.ts";
import { POINTER } from "../../../roles/station/catalog/files.ts";
import { stateOf } from "../machines/cluster.ts";
import type { SimMachine } from "../machines/machine.ts";

/** The catalog of the station on this machine, as it lies there; the caller closes it. */
export function catalogOf(machine: SimMachine): DatabaseSync {
  const state = stateOf(machine);
  const current = fromUtf8(machine.files.get(`${state}/${POINTER}`)!)!.trim();
  return new DatabaseSync(`${machine.realDirectory(state)}/${current}`, { readOnly: true });
}

/** Whether it says that its station is in recovered state. */
export function isRecovered(machine: SimMachine): boolean {
  using catalog = catalogOf(machine);
  const found = catalog.prepare("SELECT value FROM meta WHERE key = 'state'").get();
  return found?.value === "recovered";
}
