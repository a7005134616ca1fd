import type { Scene } from "../scenario/scene.ts";
import type { Checker, WorkerAnswer } from "../types.ts";
import { type FoundLabel, labelsOf } from "./labels.ts";

const CHANGES: ReadonlySet<string> = new Set(["volumeCreate", "volumeResize", "volumeDelete"]);

/**
 * No extent belongs to two volumes, and no volume is two units': looked at whenever a unit has
 * answered a change, and at the end, when every label must be whole besides.
 */
export class ExtentsChecker implements Checker {
  readonly name = "extents";
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  workerAnswered({ call, error }: WorkerAnswer): void {
    if (error === null && CHANGES.has(call)) this.#look(() => {});
  }

  finished(): void {
    const { sim } = this.#scene;
    this.#look((text) => sim.violated(this.name, text));
  }

  /** A label that is being written just now has two different copies: `complain` hears of it. */
  #look(complain: (text: string) => void): void {
    const { sim } = this.#scene;
    const units = new Map<string, string>();
    const labels = labelsOf(this.#scene, (text) => {
      if (/step \d+ of/.test(text)) sim.violated(this.name, text);
      else complain(text);
    });
    const ids = this.#unitIds(labels);
    for (const { unit, path, label: { unitId, volumes } } of labels) {
      // What was carried elsewhere is not served there before it is adopted.
      if (path.includes("/copy-") || (ids.get(unit) ?? unitId) !== unitId) continue;
      for (const { id } of volumes) {
        const other = units.get(id);
        units.set(id, unitId);
        if (other === undefined || other === unitId || this.#scene.movedMedia.size > 0) continue;
        sim.violated(this.name, `volume ${id} is unit ${other}'s and unit ${unitId}'s`);
      }
    }
  }

  /** By a unit's name, as the labels of media say that it has had all the time. */
  #unitIds(labels: readonly FoundLabel[]): Map<string, string> {
    const { moved } = this.#scene;
    const own = labels.filter(({ label: { mediumId } }) => !moved.has(mediumId));
    return new Map(own.map(({ unit, label: { unitId } }) => [unit, unitId]));
  }
}
