import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { CounterTable } from "../counters/table.ts";
import type { LetInRecord } from "../grants/let_in_runs.ts";
import type { Io } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import type { Adopting, StoreChange, UnitStoreOptions } from "../media/store_types.ts";
import type { ExportGate } from "../nbd/server_types.ts";

export interface UnitServiceOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly bootId: string;
  readonly random: Random;
  readonly log: Log;
  readonly counters: CounterTable;
  /** Answers for names that are no grant's. */
  readonly others: ExportGate;
  readonly onChange: (change: StoreChange) => void;
  /** UnitStoreOptions' own; nothing is kept of a unit that was started without `numbersFrom`. */
  readonly keepNumbers: (below: number) => Promise<void>;
  /** LetInRuns' own. */
  readonly keepLetIn: (record: LetInRecord) => Promise<void>;
  /** What DirectMarks has to be told again, whatever happens to this process. */
  readonly onDirectMarks: (marks: Readonly<Record<string, string>>) => void;
  /** CONNECTIONS_PER_GRANT_MAX when not given. */
  readonly connectionsPerGrantMax?: number;
  /** The medium that is to be taken over at this opening. */
  readonly adopting?: Adopting;
  /** UnitStoreOptions' own. */
  readonly follows?: UnitStoreOptions["follows"];
  /**
   * It was open already, with media at these paths: it stays, also when no medium can be had, and
   * what it has just closed is waited for.
   */
  readonly heldPaths?: ReadonlySet<string>;
  /** The medium of these that an operator decided about, and where it is. */
  readonly reopened?: { readonly mediumId: string; readonly path: string };
  /** How long a medium may take at its opening; MEDIUM_OPEN_MS_MAX when not given. */
  readonly mediumTimeoutMs?: number;
  /** How long a call waits for a fence; FENCE_ANSWER_MS_MAX but in tests. */
  readonly fenceAnswerMs?: number;
}
