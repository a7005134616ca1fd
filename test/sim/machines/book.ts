import type { Assignment } from "../../../protocol/config/bodies.ts";
import { fromUtf8 } from "../../../protocol/core/bytes.ts";
import { stateOf } from "./cluster.ts";
import type { SimMachine } from "./machine.ts";

/** What the book of a host's agent has, as it lies in its state directory. */
export function assignmentsOf(machine: SimMachine): Assignment[] {
  const bytes = machine.files.get(`${stateOf(machine)}/disks.json`);
  if (bytes === undefined) return [];
  const { disks } = JSON.parse(fromUtf8(bytes)!) as { disks: { assignment: Assignment }[] };
  return disks.map(({ assignment }) => assignment);
}
