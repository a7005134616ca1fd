import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { FileSystem } from "./files.ts";
import type { Incarnation } from "./incarnation.ts";

/** Words of SQL whose answer depends on the machine. */
const BANNED_SQL = /\brandom(blob)?\s*\(|'now'|\bcurrent_(time|date|timestamp)\b/i;

/** SQL that needs space, as far as anybody knows. */
const WRITING_SQL = /^\s*(insert|update|delete|create|alter|commit)\b/i;
/** SQLite takes a transaction back by itself for some of the errors that a full disk makes. */
const ROLLED_BACK_SHARE = 0.5;

/**
 * SQLite on a real file, as the station uses it, but for four things: nothing waits for the disk,
 * SQL that asks for chance or the time throws, a crash closes the file without a commit, and a full
 * disk is one by chance.
 */
export function openSimDatabase(
  owner: Incarnation,
  on: Pick<FileSystem, "fullShare">,
  path: string,
): DatabaseSync {
  owner.enter("open the catalog");
  const database = new SimDatabase(owner, on, path);
  owner.onEnd(() => database.shut());
  return database;
}

class SimDatabase extends DatabaseSync {
  readonly #owner: Incarnation;
  readonly #on: Pick<FileSystem, "fullShare">;
  #isOpen = true;

  constructor(owner: Incarnation, on: Pick<FileSystem, "fullShare">, path: string) {
    super(path);
    this.#owner = owner;
    this.#on = on;
  }

  override exec(sql: string): void {
    this.#check(sql);
    super.exec(sql.replace("synchronous = FULL", "synchronous = OFF"));
  }

  override prepare(sql: string): StatementSync {
    this.#check(sql);
    return super.prepare(sql);
  }

  override close(): void {
    this.#isOpen = false;
    super.close();
  }

  /** As the kernel does when a process is gone. */
  shut(): void {
    if (this.#isOpen) this.close();
  }

  #check(sql: string): void {
    if (BANNED_SQL.test(sql)) throw new Error(`SQL depends on the machine: ${sql}`);
    this.#owner.enter(`run SQL: ${sql.slice(0, 60)}`);
    const { sim, name } = this.#owner;
    const { fullShare } = this.#on;
    if (fullShare === 0 || !WRITING_SQL.test(sql) || !sim.chance(fullShare)) return;
    const isTakenBack = this.isTransaction && sim.chance(ROLLED_BACK_SHARE);
    const words = sql.slice(0, 60);
    sim.say(`${name} has no space to ${words}${isTakenBack ? ": all is taken back" : ""}`);
    if (isTakenBack) super.exec("ROLLBACK");
    throw new Error("database or disk is full");
  }
}
