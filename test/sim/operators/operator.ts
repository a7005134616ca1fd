import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type { RecoveryView } from "../../../web/station_api.ts";
import { pictureOf, type PoolPicture } from "../agreement/agreement.ts";
import type { SimRole } from "../machines/role.ts";
import type { Scene } from "../scenario/scene.ts";
import { askStation } from "./api.ts";

/** By which a station ends what it tells of a disk that nobody can make, or may ever make. */
const WAY_OUT = "if it is not wanted any more, release it";
/** How long an operator waits before the same remedy is tried again. */
const AGAIN_MS = 20_000;

/** What the operator does when the faults are over and something still differs. */
export class Operator {
  readonly #scene: Scene;
  /** When each remedy was last tried. */
  readonly #triedMs = new Map<string, number>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  revoke(host: SimRole): void {
    const path = `/nodes/${host.name}/revoke`;
    this.#try(`revoke ${host.name}`, () => this.#ask("POST", path));
  }

  /** Looks once, in the middle of a run. */
  look(): void {
    this.#try("look at the pool", async () => this.mend(await pictureOf(this.#scene)));
  }

  /**
   * A medium that was carried to a unit is to be served there. An older copy in its place waits for
   * the right one: who says yes to that gives up what was written since.
   */
  adopt(mediumId: string, unit: string): void {
    const path = `/units/${unit}/media/${mediumId}`;
    this.#try(`adopt medium ${mediumId} on ${unit}`, async () => {
      const { units } = await pictureOf(this.#scene);
      const media = units.find(({ name }) => name === unit)?.media ?? [];
      if (media.some(({ id, state }) => id === mediumId && state === "stale")) return;
      await this.#ask("POST", path, { action: "adopt", yes: true });
    });
  }

  /** Looks at the pool, and does what it asks of a person. */
  mend(picture: PoolPicture): void {
    const { pool, units, hosts } = picture;
    const { station, units: all } = this.#scene;
    if (pool.state === "superseded") {
      this.#try("restart the station, whose twin is gone", () => station.stop());
    }
    const allAreHere = units.length === all.length &&
      units.every(({ state }) => state === "online");
    if (pool.state === "recovered" && allAreHere) {
      this.#try("confirm the recovery", () => this.#confirm());
    }
    this.#revokeAgain(hosts);
    this.#mendDisks(picture);
    this.#mendMedia(picture);
  }

  /**
   * A bit that flipped in an event or a task's log stays there: the station holds neither in memory
   * and starts all the same, so that a person leaves them out. All else is for it to notice.
   */
  repair(findings: readonly string[]): void {
    const isHistory = (finding: string) =>
      /^(events|taskLogs) .*: its checksum is wrong$/.test(finding);
    if (!this.#scene.hasSpoiltCatalog || !findings.every(isHistory)) return;
    this.#try("repair the catalog", () => this.#ask("POST", "/catalog/repair"));
  }

  #mendDisks({ disks, volumes, tasks, differing }: PoolPicture): void {
    const { users, wiped } = this.#scene;
    for (const { id, host, name, state } of disks) {
      // That was refused, or an old catalog or a second station never heard of it: who gave it back
      // says so again.
      const isGivenBack = users.disks.some((disk) =>
        disk.key === `${host}/${name}` && disk.state === "released"
      );
      const isRefused = state === "degraded" || state === "direct" || hasEndedUndone(tasks, name);
      // A second station has done it, and the first one says what to do.
      const isDone = volumes.some(({ diskId, difference }) =>
        diskId === id && difference?.includes("then release it again") === true
      );
      const isUnmade = state === "creating"
        ? hasNoRoom(tasks, name)
        : differing.some(({ subject, waits }) =>
          subject === `disk "${name}" of host "${host}"` && waits?.endsWith(WAY_OUT) === true
        );
      if (isGivenBack && (isRefused || isDone || isUnmade)) {
        this.#try(`release ${id}, which was given back`, () => this.#ask("DELETE", `/disks/${id}`));
      }
      if (isUnmade && !isGivenBack) this.#releaseUnmade({ id, host, name });
      const disk = users.present.find(({ workload }) => workload.diskId === id);
      if (state === "direct" && disk !== undefined) {
        this.#try(`give ${disk.key} back to its agent`, () => users.giveBack(disk));
      }
      if (state === "releasing" || !wiped.has(id)) continue;
      this.#try(`release ${id}, which was wiped`, () => this.#ask("DELETE", `/disks/${id}`));
    }
  }

  /**
   * A second station gave away the room that a disk was promised, or had begun it and is gone; or
   * its unit has no medium any more: the station asks for a decision. Nobody has ever opened the
   * disk: whoever asked for it was not told that it is there, or had it begun at the station.
   */
  #releaseUnmade(
    { id, host, name }: Pick<PoolPicture["disks"][number], "id" | "host" | "name">,
  ): void {
    const { users, world } = this.#scene;
    if (!world.hasOtherCatalogs) return;
    const isUnseen = users.present.some((disk) =>
      disk.key === `${host}/${name}` && disk.workload.diskId === ""
    );
    if (!isUnseen) return;
    this.#try(`release ${id}, which cannot be made`, () => this.#ask("DELETE", `/disks/${id}`));
  }

  #mendMedia({ units, volumes }: PoolPicture): void {
    const { moved, world } = this.#scene;
    for (const { name, media } of units) {
      for (const { id, path, state } of media) {
        const move = moved.get(id);
        const isHalfDone = state === "ok" &&
          volumes.some(({ unit, difference }) =>
            unit === name && /^(is a copy of|belongs to another) /.test(difference ?? "")
          );
        if ((state === "foreign" || isHalfDone) && move?.to === name) this.adopt(id, name);
        // Wiped, also where it was carried to, or it is with another unit now.
        // One that is only out is behind a path that is refused, until it is opened below.
        const isOut = media.some((other) => other.state === "refused");
        const isWiped = this.#scene.hasWiped && !isOut &&
          (move === undefined || !isThere(units, id));
        const isLost = isWiped || (move !== undefined && isServed(units, id));
        if (state === "missing" && isLost) {
          this.#try(
            `forget medium ${id} of ${name}`,
            () => this.#ask("POST", `/units/${name}/media/${id}`, { action: "forget", yes: true }),
          );
        }
        // It was out when the unit looked at the paths that it was given, and is there again; or
        // it was made blank, and what it held has been given up.
        const isBack = state === "refused" && world.kernel.media.get(path)?.isGone === false;
        if (state === "foreign" || isBack) this.#wipeOn(name, path);
        if (state !== "poisoned" && state !== "failed" && !isBack) continue;
        this.#try(
          `reopen medium ${isBack ? path : id} of ${name}`,
          () => this.#ask("POST", `/units/${name}/media/${id}`, { action: "reopen", yes: true }),
        );
      }
    }
  }

  /** A wiping that failed goes on at its unit's next start, which is told to wipe it still. */
  #wipeOn(unit: string, path: string): void {
    const found = this.#scene.units.find(({ plan }) => plan.name === unit);
    if (found?.plan.wipes.has(path) !== true) return;
    this.#try(`restart ${unit}, which is to wipe ${path}`, () => found.role.stop());
  }

  #revokeAgain(hosts: PoolPicture["hosts"]): void {
    const { revoked } = this.#scene;
    for (const { name, state } of hosts) {
      const isRevoked = [...revoked].some((role) => role.name === name);
      if (isRevoked && state !== "revoked") {
        this.#try(`revoke ${name} again`, () => this.#ask("POST", `/nodes/${name}/revoke`));
      }
    }
  }

  async #confirm(): Promise<void> {
    const view = await this.#ask<RecoveryView>("GET", "/recovery");
    if (view.state !== "recovered" || view.unseen.length > 0) return;
    await this.#ask("POST", "/recovery/confirm", { list: view.list });
  }

  #ask<T>(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
    return askStation<T>(this.#scene.station, {
      method,
      path,
      ...(body === undefined ? {} : { body }),
    });
  }

  #try(what: string, run: () => unknown): void {
    const { sim } = this.#scene;
    const last = this.#triedMs.get(what) ?? -Infinity;
    if (sim.nowMs() - last < AGAIN_MS) return;
    this.#triedMs.set(what, sim.nowMs());
    sim.say(`the operator: ${what}`);
    sim.touch();
    Promise.try(run).then(() => sim.say(`the operator did it: ${what}`), (error) => {
      if (!(error instanceof DvsanError)) throw error;
      sim.say(`the operator could not ${what}: ${messageOf(error)}`);
    });
  }
}

function isServed(units: PoolPicture["units"], mediumId: string): boolean {
  return units.some(({ media }) =>
    media.some(({ id, state }) => id === mediumId && state === "ok")
  );
}

/** Whether any unit has it, in whatever state. */
function isThere(units: PoolPicture["units"], mediumId: string): boolean {
  return units.some(({ media }) =>
    media.some(({ id, state }) => id === mediumId && state !== "missing")
  );
}

/**
 * A release that was taken, and then could not be written down, or that its station was restarted
 * before, says that nothing was changed.
 */
function hasEndedUndone(tasks: PoolPicture["tasks"], disk: string): boolean {
  return tasks.some(({ state, title, error }) =>
    (state === "failed" || state === "cancelled") && title === `Release disk "${disk}"` &&
    error?.message.includes("Nothing was changed") === true
  );
}

/** It could not be made to its end: its unit has no place for it any more. */
function hasNoRoom(tasks: PoolPicture["tasks"], disk: string): boolean {
  return tasks.some(({ state, title, error }) =>
    state === "failed" && title.startsWith(`Finish disk "${disk}"`) &&
    error?.message.includes(WAY_OUT) === true
  );
}
