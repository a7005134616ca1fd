import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Incarnation } from "./incarnation.ts";

/** Words of SQL whose answer depends on the machine. */
const BANNED_SQL = /\brandom(blob)?\s*\(|'now'|\bcurrent_(time|date|timestamp)\b/i;

/**
 * SQLite on a real file, as the station uses it, but for three things: nothing waits for the disk,
 * SQL that asks for chance or the time throws, and a crash closes the file without a commit.
 */
export function openSimDatabase(owner: Incarnation, path: string): DatabaseSync {
  owner.enter("open the catalog");
  const database = new SimDatabase(owner, path);
  owner.onEnd(() => database.shut());
  return database;
}

class SimDatabase extends DatabaseSync {
  readonly #owner: Incarnation;
  #isOpen = true;

  constructor(owner: Incarnation, path: string) {
    super(path);
    this.#owner = owner;
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
  }
}
