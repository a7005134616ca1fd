import type { CatalogMark } from "../../protocol/config/heartbeat_bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { NodeRow } from "./catalog/rows.ts";
import type { Epoch } from "./epoch.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";

export interface HeardMarksOptions {
  readonly world: World;
  readonly epoch: Epoch;
  readonly standing: Standing;
}

/**
 * What nodes have heard of how far the catalog was. A whole state directory that was put back from
 * a copy knows of nothing that came after, and where no unit holds anything of it, a revocation
 * above all, nodes alone can tell. One that lies can do no more than any unit can by its labels:
 * the station asks an operator to confirm, and says which node said so; revoke that one.
 */
export class HeardMarks {
  readonly #o: HeardMarksOptions;
  /** The first that says so is named, until that was confirmed. */
  #words = "";

  constructor(options: HeardMarksOptions) {
    this.#o = options;
  }

  /** Called for each heartbeat of an admitted node. The mark to answer with, if there is one. */
  async told(node: NodeRow, heard: CatalogMark | undefined): Promise<CatalogMark | undefined> {
    const { epoch, standing, world } = this.#o;
    // This one says nothing of what is wanted any more.
    if (standing.state === "superseded") return undefined;
    if (heard === undefined || !epoch.isBehind(heard)) return epoch.mark;
    if (!standing.reasons.includes(this.#words)) this.#words = behindWords(node);
    try {
      await standing.recover(this.#words);
      await epoch.heardOf(heard.epoch);
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      // The node keeps it, and tells it again.
      world.log.error(`Cannot keep that the catalog is older than nodes know: ${error.message}`);
      return undefined;
    }
    return epoch.mark;
  }
}

function behindWords({ role, name }: NodeRow): string {
  return `The ${role} "${name}" has heard of more that was written to this station's catalog ` +
    "than it has: the station's state directory was put back from a copy, or two stations run. " +
    "Who was revoked since that copy may be let in again.";
}
