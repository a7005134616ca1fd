import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { MIB } from "../../../protocol/core/limits.ts";
import { AttachmentsChecker } from "./attachments.ts";
import type { ServerEnd } from "./let_in.ts";
import { opening, request } from "./testing_client.ts";
import { Complaints, shown } from "./testing_history.ts";
import { FIRST_BYTE, LabelledMedium } from "./testing_labelled.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const TOKEN = "a-token-that-nobody-guesses";
const BLOCK_BYTES = 4096;

/** A unit that grants one volume of 8 MiB, and connections to it. */
class Bench {
  readonly complaints = new Complaints();
  readonly checker = new AttachmentsChecker(this.complaints);
  readonly #medium = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB }).medium;
  #connections = 0;

  constructor() {
    this.grants(1);
  }

  /** A generation of this counter; who shows the token is let in. */
  grants(counter: number): void {
    const tokenHash = Uint8Array.from(createHash("sha256").update(TOKEN).digest());
    const direct = { tokenHash, addresses: [] };
    const params = { volumeId: VOLUME, generation: { epoch: 1, counter }, direct };
    const about = { process: "unit1", call: "accessGrant", askedAtMs: 0, error: null } as const;
    this.checker.workerAnswered({ ...about, params, result: {} });
  }

  connect(exportName = VOLUME): Client {
    return new Client(this.checker, { number: ++this.#connections, exportName });
  }

  /** Of block 3. */
  lands(version: number): void {
    const bytes = shown(3, [version]);
    const position = FIRST_BYTE + 3 * BLOCK_BYTES;
    const process = "unit1#1";
    this.checker.wrote({
      medium: this.#medium,
      position,
      length: bytes.length,
      bytes,
      isWhole: true,
      process,
    });
  }

  /** Positions are the volume's. */
  erases(position: number, length: number): void {
    const at = { position: FIRST_BYTE + position, length };
    this.checker.erases({ ...at, medium: this.#medium, process: "unit1#1" });
  }
}

class Client {
  readonly end: ServerEnd & { readonly stream: { shut: boolean } };
  readonly #checker: AttachmentsChecker;

  constructor(
    checker: AttachmentsChecker,
    o: { readonly number: number; readonly exportName: string },
  ) {
    this.#checker = checker;
    const place = { process: "unit1#1" };
    this.end = { connection: o.number, isClient: false, place, stream: { shut: false } };
    this.sends(opening(o.exportName));
  }

  sends(bytes: Uint8Array, pieceBytes = bytes.length): void {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.#checker.streamBytes(this.end, bytes.subarray(at, at + pieceBytes));
    }
  }

  /** Block 3. */
  writes(version: number): void {
    const at = { position: 3 * BLOCK_BYTES, length: BLOCK_BYTES };
    this.sends(request("write", { ...at, payload: shown(3, [version]) }));
  }

  zeroes(position: number, length: number): void {
    this.sends(request("writeZeroes", { position, length }));
  }

  /** Its unit's kernel knows. */
  isLost(): void {
    this.#checker.streamOver(this.end);
  }
}

Deno.test("attachments: what a live connection brought is written in order", () => {
  const bench = new Bench();
  const [one, other] = [bench.connect(), bench.connect()];
  one.writes(1);
  other.writes(2);
  bench.lands(1);
  bench.lands(2);
  assert.equal(bench.checker.judged, 2);
  assert.deepEqual(bench.complaints.texts, []);
});

Deno.test("attachments: a write of a lost connection after its successor's first request is caught", () => {
  const bench = new Bench();
  const older = bench.connect();
  older.writes(1);
  older.isLost();
  const newer = bench.connect();
  newer.writes(2);
  bench.lands(2);
  assert.deepEqual(bench.complaints.texts, []);
  bench.lands(1);
  assert.match(bench.complaints.texts[0] ?? "", /only connection 1 had brought.*connection 2/);
});

Deno.test("attachments: a write of a connection that the unit shut for a newer one is caught", () => {
  const bench = new Bench();
  const older = bench.connect();
  older.writes(1);
  const newer = bench.connect();
  bench.lands(1);
  older.end.stream.shut = true;
  bench.lands(1);
  assert.deepEqual(bench.complaints.texts, [], "the newer one is not let in yet");
  newer.sends(request("read", { position: 0, length: 512 }));
  bench.lands(1);
  assert.equal(bench.complaints.texts.length, 1);
});

Deno.test("attachments: what is repeated on the newer connection may be done, once", () => {
  const bench = new Bench();
  const older = bench.connect();
  older.writes(1);
  older.zeroes(MIB, 8192);
  older.isLost();
  const newer = bench.connect();
  newer.writes(1);
  newer.zeroes(MIB, 8192);
  bench.lands(1);
  bench.erases(MIB, 8192);
  assert.deepEqual(bench.complaints.texts, []);
  bench.erases(MIB, 8192);
  assert.match(bench.complaints.texts[0] ?? "", /only connection 1 had asked for.*connection 2/);
});

Deno.test("attachments: a connection that was lost beside its like does not count as taken over", () => {
  const bench = new Bench();
  const [one, other] = [bench.connect(), bench.connect()];
  one.writes(1);
  one.isLost();
  one.end.stream.shut = true;
  other.writes(2);
  bench.lands(1);
  assert.deepEqual(bench.complaints.texts, []);
});

Deno.test("attachments: what comes by a token may be kept back, and throws out once it is done", () => {
  const bench = new Bench();
  const older = bench.connect(TOKEN);
  older.writes(1);
  older.zeroes(0, MIB);
  const newer = bench.connect(TOKEN);
  older.end.stream.shut = true;
  newer.writes(2);
  newer.zeroes(MIB, MIB);
  bench.lands(1);
  bench.erases(0, MIB / 2);
  assert.deepEqual(bench.complaints.texts, []);
  bench.erases(MIB, MIB);
  bench.erases(MIB / 2, MIB / 2);
  assert.match(bench.complaints.texts.shift() ?? "", /only connection 1 had asked for/);
  bench.lands(1);
  assert.match(bench.complaints.texts[0] ?? "", /only connection 1 had brought/);
});

Deno.test("attachments: of two by one token who was replaced is caught, whether or not it was shut", () => {
  for (const erases of [false, true]) {
    const bench = new Bench();
    const [one, other] = [bench.connect(TOKEN), bench.connect(TOKEN)];
    one.writes(1);
    one.writes(3);
    one.zeroes(0, MIB);
    other.writes(2);
    bench.lands(1);
    bench.lands(3);
    bench.lands(2);
    assert.deepEqual(bench.complaints.texts, []);
    if (erases) bench.erases(0, MIB);
    else bench.lands(3);
    assert.match(bench.complaints.texts[0] ?? "", /only connection 1 had .*connection 2 had/);
  }
});

Deno.test("attachments: of two by one token who is in did what both had asked for", () => {
  const bench = new Bench();
  const [silent, present] = [bench.connect(TOKEN), bench.connect(TOKEN)];
  silent.zeroes(0, MIB);
  silent.isLost();
  present.writes(1);
  present.zeroes(0, MIB);
  bench.lands(1);
  bench.erases(0, MIB);
  present.writes(2);
  bench.lands(2);
  assert.deepEqual(bench.complaints.texts, []);
});

Deno.test("attachments: what was let in before a newer grant is caught, what comes later is not", () => {
  const bench = new Bench();
  const older = bench.connect();
  const silent = bench.connect();
  older.writes(1);
  older.writes(2);
  bench.grants(1);
  bench.lands(1);
  bench.grants(2);
  silent.writes(3);
  bench.lands(3);
  assert.deepEqual(bench.complaints.texts, []);
  bench.lands(2);
  assert.match(bench.complaints.texts[0] ?? "", /connection 1 had brought; but grant 1\.2 had/);
});

Deno.test("attachments: zeroes of any length may come in pieces, and nothing but what was asked for", () => {
  for (const length of [2 * BLOCK_BYTES, 4 * MIB]) {
    const bench = new Bench();
    const client = bench.connect();
    client.zeroes(0, length);
    bench.erases(BLOCK_BYTES, length - BLOCK_BYTES);
    bench.erases(0, BLOCK_BYTES);
    // Of the unit's own.
    bench.erases(8 * MIB, length);
    bench.erases(-512, 512);
    assert.equal(bench.checker.erased, 2);
    assert.deepEqual(bench.complaints.texts, []);
    bench.erases(0, BLOCK_BYTES);
    assert.match(bench.complaints.texts[0] ?? "", /which no connection had asked for/);
  }
});

Deno.test("attachments: of requests that overlap each byte may be erased once for each", () => {
  const bench = new Bench();
  const client = bench.connect();
  client.zeroes(0, 4 * BLOCK_BYTES);
  client.zeroes(BLOCK_BYTES, BLOCK_BYTES);
  client.zeroes(0, 3 * BLOCK_BYTES);
  bench.erases(BLOCK_BYTES, BLOCK_BYTES);
  bench.erases(0, 2 * BLOCK_BYTES);
  bench.erases(0, 3 * BLOCK_BYTES);
  bench.erases(2 * BLOCK_BYTES, 2 * BLOCK_BYTES);
  assert.deepEqual(bench.complaints.texts, []);
  bench.erases(3 * BLOCK_BYTES, 512);
  assert.equal(bench.complaints.texts.length, 1);
});

Deno.test("attachments: of a process that is gone nothing is known any more", () => {
  const bench = new Bench();
  bench.connect().zeroes(0, 4096);
  bench.checker.ended("unit1");
  bench.erases(0, 4096);
  assert.equal(bench.complaints.texts.length, 1);
});

Deno.test("attachments: finds stamps and requests that arrive in pieces", () => {
  const bench = new Bench();
  const client = bench.connect();
  const bytes = Buffer.concat([
    request("write", { position: 5, length: 777, payload: new Uint8Array(777) }),
    request("write", { position: 0, length: BLOCK_BYTES, payload: shown(3, [1]) }),
    request("trim", { position: 0, length: 512 }),
  ]);
  client.sends(bytes, 13);
  bench.erases(0, 512);
  assert.deepEqual(bench.complaints.texts, []);
  client.isLost();
  bench.connect().writes(2);
  bench.lands(1);
  assert.equal(bench.complaints.texts.length, 1);
});
