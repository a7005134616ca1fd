import { messageOf } from "../../../protocol/core/errors.ts";
import { LABEL_REGION_BYTES } from "../../../protocol/core/limits.ts";
import { copyBStart, SECTOR_BYTES } from "../../../protocol/label/codec.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import { labelOf, type ReadLabel } from "../../e2e/label_reader.ts";
import type { Scene } from "../scenario/scene.ts";

export interface FoundLabel {
  readonly unit: string;
  readonly path: string;
  readonly label: ReadLabel;
}

/** What the units' media say, by the tests' own reader. Media without a whole label are left out. */
export function labelsOf(scene: Scene, complain: (text: string) => void = () => {}): FoundLabel[] {
  const found: FoundLabel[] = [];
  for (const { plan } of scene.units) {
    for (const path of plan.devices) {
      const medium = scene.world.kernel.media.get(path);
      if (medium === undefined) continue;
      try {
        found.push({ unit: plan.name, path, label: readLabelOf(medium) });
      } catch (error) {
        complain(`the label of ${path}: ${messageOf(error)}`);
      }
    }
  }
  return found;
}

/**
 * Those of one unit's media, in the order of their paths; null while one of them is being written,
 * or is torn: nobody could say what that medium holds. A device may have none.
 */
export function settledLabelsOf(
  { name, devices }: { readonly name: string; readonly devices: readonly string[] },
  media: ReadonlyMap<string, SimMedium>,
): FoundLabel[] | null {
  const found: FoundLabel[] = [];
  for (const path of devices) {
    const medium = media.get(path);
    if (medium === undefined || !hasLabel(medium)) continue;
    try {
      found.push({ unit: name, path, label: readLabelOf(medium) });
    } catch {
      return null;
    }
  }
  return found;
}

/** One of its copies begins, at least. */
export function hasLabel(medium: SimMedium): boolean {
  return [0, copyBStart(medium.sizeBytes)].some((position) => {
    const start = new Uint8Array(SECTOR_BYTES);
    medium.read(start, position);
    return start.some((byte) => byte !== 0);
  });
}

function readLabelOf(medium: SimMedium): ReadLabel {
  const size = medium.sizeBytes;
  const lastRegion = (Math.floor(size / LABEL_REGION_BYTES) - 1) * LABEL_REGION_BYTES;
  const regions = [0, lastRegion].map((position) => {
    const bytes = new Uint8Array(LABEL_REGION_BYTES);
    medium.read(bytes, position);
    return bytes;
  });
  return labelOf(regions, { path: medium.path, size });
}
