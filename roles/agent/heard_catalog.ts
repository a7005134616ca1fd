import { z } from "zod";
import { CatalogMark } from "../../protocol/config/heartbeat_bodies.ts";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Clock, Timer } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { HEARD_CATALOG_KEPT_MS } from "../../protocol/core/limits_truth.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "./identity.ts";

const FILE = "heard-catalog.json";

const Stored = z.strictObject({ clusterId: z.string(), catalog: CatalogMark });

export interface HeardCatalogOptions {
  readonly files: StateFiles;
  readonly clock: Clock;
  readonly log: Log;
  /** Of the station that this node belongs to; what was heard of another's is of no use. */
  readonly clusterId: string;
}

/**
 * How far the station's catalog was when this node heard of it last, to be told to whoever answers
 * with the station's key next. It is written when the station is another run, and otherwise some
 * time later: a catalog changes more often than a node should write for it.
 */
export class HeardCatalog {
  readonly #o: HeardCatalogOptions;
  #mark: CatalogMark | null;
  #kept: CatalogMark | null;
  #timer: Timer | null = null;
  #problem = "";

  constructor(options: HeardCatalogOptions) {
    this.#o = options;
    this.#mark = this.#kept = read(options);
  }

  /** Null before the first. */
  get mark(): CatalogMark | null {
    return this.#mark;
  }

  heard(mark: CatalogMark): void {
    this.#mark = mark;
    if (mark.instance === this.#kept?.instance && mark.commits === this.#kept.commits) return;
    if (mark.instance !== this.#kept?.instance && this.#problem === "") return this.#keep();
    this.#timer ??= this.#o.clock.after(HEARD_CATALOG_KEPT_MS, () => this.#keep());
  }

  /** Keeps what is not kept yet; nothing more is to be heard. */
  stop(): void {
    if (this.#timer !== null) this.#keep();
  }

  /** Where the state directory takes nothing now, the next one that is heard tries again. */
  #keep(): void {
    const { files, clusterId, log } = this.#o;
    this.#timer?.cancel();
    this.#timer = null;
    try {
      files.write(FILE, utf8(`${JSON.stringify({ clusterId, catalog: this.#mark })}\n`));
      this.#kept = this.#mark;
      this.#problem = "";
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      if (this.#problem === "") {
        log.warn(
          "cannot keep how far the station's catalog is: a station that is put back from a copy " +
            "while this node is down may not notice. Make room in the state directory",
          { problem: error.message },
        );
      }
      this.#problem = error.message;
    }
  }
}

/** A damaged file is as none: other nodes have theirs. */
function read({ files, clusterId, log }: HeardCatalogOptions): CatalogMark | null {
  const bytes = files.read(FILE);
  if (bytes === null) return null;
  try {
    const stored = Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
    return stored.clusterId === clusterId ? stored.catalog : null;
  } catch {
    log.warn("what was heard of the station's catalog is damaged, and not used", { file: FILE });
    return null;
  }
}
