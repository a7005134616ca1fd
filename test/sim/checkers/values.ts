import type { Value } from "./register.ts";
import { diskHashOf, readSector, SECTORS } from "./stamp.ts";

/** The values in a block's sectors, several when it is torn; a text when there is none that may be. */
export function valuesOf(
  bytes: Uint8Array,
  at: {
    readonly block: number;
    readonly disk: string;
    readonly names: ReadonlyMap<number, string>;
  },
): Set<Value> | string {
  const values = new Set<Value>();
  for (let sector = 0; sector < SECTORS; sector++) {
    const found = readSector(bytes, sector);
    if (found.kind === "zero") values.add(0);
    else if (found.kind === "other") return `what nobody wrote: ${found.text}`;
    else {
      const what = `version ${found.version} of block ${found.block}`;
      if (found.diskHash !== diskHashOf(at.disk)) {
        const other = at.names.get(found.diskHash) ?? "one that is not known";
        return `${what} of another disk, ${other}`;
      }
      if (found.block !== at.block) return `${what} instead`;
      values.add(found.version);
    }
  }
  return values;
}
