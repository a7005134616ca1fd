import assert from "node:assert/strict";
import { AttachClient, OPTION_ATTACH, OPTION_ATTACH_CHALLENGE } from "../../protocol/nbd/attach.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import { CounterRow } from "../counters/row.ts";
import type { Device } from "../devices/device.ts";
import { DirectMarks } from "./direct_marks.ts";
import type { GrantTerms } from "../grants/grant_state.ts";
import { GrantTable } from "../grants/grant_table.ts";
import { type LetInRecord, LetInRuns } from "../grants/let_in_runs.ts";
import type { Operation } from "../io/operation.ts";
import { UnitGate } from "./gate.ts";
import type { ExportEntry, ExportGate, GateConnection, OptionAnswer } from "./server_types.ts";

/** A gate with connections and a volume that the test moves by hand. */

export const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
export const SIZE = 8 * 2 ** 20;
const unit = keyPairOf(new Uint8Array(32).fill(1));
const host = keyPairOf(new Uint8Array(32).fill(2));

export function terms(counter: number, direct: GrantTerms["direct"] = null): GrantTerms {
  const generation = { epoch: 1, counter };
  return { generation, hostId: "a".repeat(32), hostKey: host.publicKey, direct };
}

/** A connection as the server would have it: shut, and quiet only when the test says so. */
export class FakeConnection implements GateConnection {
  readonly #callbacks: (() => void)[] = [];
  isShut = false;
  isOver = false;

  constructor(readonly id: number, readonly peer = { address: "127.0.0.1", port: 4000 }) {}

  shut(_reason: string, quiescent?: () => void): void {
    this.isShut = true;
    if (quiescent !== undefined) this.#callbacks.push(quiescent);
  }

  becomeQuiet(): void {
    for (const run of this.#callbacks.splice(0)) run();
  }
}

export class FakeDevice implements Device {
  readonly traits = {
    sizeBytes: SIZE,
    readOnly: false,
    canDiscard: true,
    canZero: true,
    flushCoversAll: true,
    minimumBlockBytes: 1,
    preferredBlockBytes: 4096,
  };
  readonly seen: string[] = [];
  /** Under way: the test ends them. */
  readonly flushes: Operation[] = [];
  read(): void {
    this.seen.push("read");
  }
  write(): void {
    this.seen.push("write");
  }
  flush(operation: Operation): void {
    this.seen.push("flush");
    operation.busy = true;
    this.flushes.push(operation);
  }

  /** Ends the oldest flush. */
  endFlush(result = 0): void {
    const operation = this.flushes.shift();
    assert.ok(operation !== undefined, "a flush is under way");
    operation.busy = false;
    operation.result = result;
    operation.done(operation);
  }

  discard(): void {
    this.seen.push("discard");
  }
  zero(): void {
    this.seen.push("zero");
  }
  readAhead(): void {
    this.seen.push("readAhead");
  }
  allocation(): void {
    this.seen.push("allocation");
  }
}

export const others: ExportGate = {
  list: () => ["standalone"],
  find: () => ({ refused: REPLY_ERROR.unknown, text: "no such export" }),
  privateOption: (_connection, _request, answer) =>
    answer({ kind: "refused", type: REPLY_ERROR.unsupported, text: "not spoken here" }),
  ended: () => {},
};

export class World {
  readonly table = new GrantTable();
  readonly runs = new LetInRuns({
    known: {},
    volumes: [VOLUME],
    keep: (record) => new Promise((resolve) => this.keeping.push({ record, resolve })),
  });
  /** What is to be kept; the test says when it is. */
  readonly keeping: { readonly record: LetInRecord; readonly resolve: () => void }[] = [];
  readonly device = new FakeDevice();
  served = true;
  /** Of direct use. */
  verifier: string | null = "v1";
  marks: Readonly<Record<string, string>> = {};
  #seed = 0;
  readonly gate = new UnitGate({
    table: this.table,
    runs: this.runs,
    volumes: {
      counters: () => CounterRow.unread(),
      device: () => this.served ? this.device : null,
      verifier: () => new Uint8Array(32).fill(9),
      continuity: () => new Uint8Array(32).fill(10),
    },
    unit,
    random: { bytes: (count) => new Uint8Array(count).fill(++this.#seed) },
    direct: new DirectMarks({
      known: {},
      verifiers: () => () => this.verifier,
      changed: (marks) => this.marks = marks,
    }),
    others,
  });

  constructor(grant: GrantTerms) {
    this.table.load(VOLUME, { terms: grant, fenced: false, attachment: 0 });
  }

  option(
    connection: GateConnection,
    option: number,
    payload: Uint8Array = new Uint8Array(0),
  ): OptionAnswer[] {
    const answers: OptionAnswer[] = [];
    this.gate.privateOption(connection, { option, payload }, (answer) => answers.push(answer));
    return answers;
  }

  /** The answers to ATTACH: none while it waits. */
  attach(
    connection: GateConnection,
    options: { attachment: number; counter?: number; host?: typeof host; volumeId?: string },
  ): { answers: OptionAnswer[]; client: AttachClient } {
    const [challenge] = this.option(connection, OPTION_ATTACH_CHALLENGE);
    assert.equal(challenge?.kind, "answer");
    const client = new AttachClient(challenge.payload, {
      volumeId: options.volumeId ?? VOLUME,
      generation: { epoch: 1, counter: options.counter ?? 1 },
      attachment: options.attachment,
      host: options.host ?? host,
      unitKey: unit.publicKey,
      ephemeral: keyPairOf(new Uint8Array(32).fill(77)),
    });
    return { client, answers: this.option(connection, OPTION_ATTACH, client.option()) };
  }

  entry(connection: GateConnection, name: string): ExportEntry {
    const found = this.gate.find(connection, name);
    assert.ok("device" in found, "found");
    return found;
  }
}
