import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";

/** Throws DvsanError unless the assignment describes one whole linear disk to be attached. */
export function checkAssignment(assignment: Assignment): void {
  const { diskId, name, legs, state, sizeBytes } = assignment;
  const wrong = (why: string) =>
    new DvsanError("invalid", `Cannot attach disk "${name}": ${why}. Ask the station anew.`);
  if (state !== "attached") throw wrong(`it is ${state}, not to be attached here`);
  if (legs.length === 0) throw wrong("it has no legs");
  // A volume whose place in its disk another one has is a disk of its own, and keeps its number.
  const first = legs[0]!.volumeId === diskId ? legs[0]!.leg : 0;
  if (legs.some((leg, i) => leg.leg !== first + i)) throw wrong("its legs are not in order");
  const total = legs.reduce((sum, leg) => sum + leg.sizeBytes, 0);
  if (total !== sizeBytes) {
    throw wrong(`its legs have ${total} bytes and the disk should have ${sizeBytes}`);
  }
}

/** Legs keep their place, volume and length; only the last may grow, and more may follow. */
export function checkSuccessor(old: Assignment, assignment: Assignment): void {
  const last = old.legs.length - 1;
  const fits = old.legs.every((leg, i) => {
    const next = assignment.legs[i];
    if (next === undefined || next.volumeId !== leg.volumeId) return false;
    return i === last ? next.sizeBytes >= leg.sizeBytes : next.sizeBytes === leg.sizeBytes;
  });
  if (assignment.diskId === old.diskId && assignment.name === old.name && fits) return;
  throw new DvsanError(
    "invalid",
    `Cannot change disk "${old.name}" to map version ${assignment.version} while it is attached: ` +
      "a leg was replaced or resized in the middle. Detach the disk and attach it again.",
  );
}
