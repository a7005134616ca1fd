import assert from "node:assert/strict";
import { encodeHeader, packetHeader } from "../../../protocol/config/packet.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import { copyBStart, encodeCopies } from "../../../protocol/label/codec.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { CallName } from "../../../storage/worker/messages.ts";
import { DurableLabelsChecker } from "./durable_labels.ts";
import { FencesChecker } from "./fences.ts";
import { StrangersChecker } from "./strangers.ts";
import { Complaints, DISK } from "./testing_history.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const MEDIUM = "11111111-2222-4333-8444-555555555555";
const HOST = "ab".repeat(16);
const STATION = { epoch: 1, instance: "x" };
const GENERATION = { epoch: 1, counter: 1 };

function recordWith(state: "active" | "fenced" | null): VolumeRecord {
  const grant = { generation: GENERATION, hostId: HOST, hostKey: new Uint8Array(32) };
  return {
    id: VOLUME,
    number: 1,
    sequence: 2,
    sizeBytes: MIB,
    media: [MEDIUM],
    extents: [[0, 1, 2]],
    leg: {
      diskId: MEDIUM,
      diskName: "db",
      layout: "linear",
      leg: 0,
      legs: 1,
      ownerId: HOST,
      ownerName: "host1",
      ownerKey: new Uint8Array(32),
    },
    grant: state === null ? null : { ...grant, state, sizeBytes: MIB },
    fencedThrough: state === "fenced" ? GENERATION : null,
    deleting: false,
  };
}

function labelWith(volumes: VolumeRecord[]): Label {
  return {
    sequence: 2,
    mediumId: MEDIUM,
    unitId: HOST,
    clusterId: "",
    name: "unit1",
    sizeBytes: 16 * MIB,
    opens: 1,
    epoch: 1,
    instance: "x",
    nextNumber: 2,
    volumes,
    zeroed: [],
  };
}

/** A unit's medium with a label in its copies A and B, durably or only in memory. */
function mediumWith(label: Label, copies: "A" | "AB", isDurable: boolean): SimMedium {
  const medium = new SimMedium("/unit1/a.img", { sizeBytes: 16 * MIB, isVolatile: true });
  medium.held = true;
  const { A, B } = encodeCopies(label);
  const put = (position: number, bytes: Uint8Array) =>
    isDurable ? medium.preset(position, bytes) : medium.write(bytes, position);
  put(0, A);
  if (copies === "AB") put(copyBStart(label.sizeBytes), B);
  return medium;
}

function complaintsOf(medium: SimMedium, call: CallName, params: object): string[] {
  const complaints = new Complaints();
  const checker = new DurableLabelsChecker(complaints, new Map([[medium.path, medium]]));
  const answer = { process: "unit1", call, result: null, error: null, askedAtMs: 0 };
  checker.workerAnswered({ ...answer, params: { volumeId: VOLUME, station: STATION, ...params } });
  // Of others it is not told anything.
  checker.workerAnswered({ ...answer, call: "diskList", params: null });
  assert.equal(checker.judged, 1);
  return complaints.texts;
}

Deno.test("labels: a change that stands on both durable copies is in order", () => {
  const medium = mediumWith(labelWith([recordWith("fenced")]), "AB", true);
  const body = { generation: GENERATION, hostId: HOST };
  assert.deepEqual(complaintsOf(medium, "accessRevoke", body), []);
  assert.deepEqual(complaintsOf(medium, "accessGrant", body), []);
  assert.deepEqual(complaintsOf(medium, "volumeCreate", { sizeBytes: MIB }), []);
  const empty = mediumWith(labelWith([]), "AB", true);
  assert.deepEqual(complaintsOf(empty, "volumeDelete", {}), []);
});

Deno.test("labels: a blank device counts as served, but where its unit tells that it refused it", () => {
  const blank = new SimMedium("/unit1/b.img", { sizeBytes: 16 * MIB, isVolatile: true });
  blank.held = true;
  const texts = (state: string) => {
    const complaints = new Complaints();
    const checker = new DurableLabelsChecker(complaints, new Map([[blank.path, blank]]));
    const grant = { generation: GENERATION, hostId: HOST, sizeBytes: MIB, state: "active" };
    const volumes = [{ id: VOLUME, state: "ready", grant }];
    const result = { media: [{ id: MEDIUM, path: blank.path, state }], volumes };
    const answer = { process: "unit1", result, error: null, askedAtMs: 0 };
    checker.workerAnswered({ ...answer, call: "storageInfo", params: null });
    return complaints.texts;
  };
  assert.deepEqual(texts("refused"), []);
  assert.match(texts("ok")[0] ?? "", /no durable copy of the label of .unit1.b.img/);
});

Deno.test("labels: a fence that was acknowledged before it is durable is caught", () => {
  const medium = mediumWith(labelWith([recordWith("active")]), "AB", true);
  const fenced = encodeCopies({ ...labelWith([recordWith("fenced")]), sequence: 3 });
  medium.write(fenced.A, 0);
  const texts = complaintsOf(medium, "accessRevoke", { generation: GENERATION });
  assert.match(texts[0] ?? "", /copy A .* is active/);
});

Deno.test("labels: a grant and a deletion that are not there, and a size too small, are caught", () => {
  const medium = mediumWith(labelWith([recordWith(null)]), "AB", true);
  const grant = { generation: GENERATION, hostId: HOST };
  assert.match(complaintsOf(medium, "accessGrant", grant)[0] ?? "", /nobody has it/);
  assert.match(complaintsOf(medium, "volumeDelete", {})[0] ?? "", /it is there/);
  const size = { sizeBytes: 2 * MIB };
  assert.match(complaintsOf(medium, "volumeCreate", size)[0] ?? "", /has 1048576 bytes/);
});

Deno.test("labels: a grant or a fence that is told before it is durable is caught", () => {
  const told = (state: "active" | "fenced", sizeBytes: number, medium: SimMedium) => {
    const complaints = new Complaints();
    const checker = new DurableLabelsChecker(complaints, new Map([[medium.path, medium]]));
    const grant = { generation: GENERATION, hostId: HOST, state, sizeBytes };
    const result = { media: [], volumes: [{ id: VOLUME, state: "ready", grant }] };
    const answer = { process: "unit1", call: "storageInfo", error: null, askedAtMs: 0 } as const;
    checker.workerAnswered({ ...answer, params: null, result });
    return complaints.texts.join();
  };
  const active = mediumWith(labelWith([recordWith("active")]), "AB", true);
  const none = mediumWith(labelWith([recordWith(null)]), "AB", true);
  assert.equal(told("active", MIB, active), "");
  assert.match(told("active", 2 * MIB, active), /1048576 bytes are granted, not 2097152/);
  assert.match(told("active", MIB, none), /nobody has it/);
  assert.match(told("fenced", MIB, active), /is active/);
});

Deno.test("labels: what a growth left where it failed is no fence or grant, unless it counts", () => {
  const OTHER = "99999999-2222-4333-8444-555555555555";
  const onBoth = (record: VolumeRecord): VolumeRecord => ({
    ...{ ...record, sequence: 3, media: [MEDIUM, OTHER] },
    extents: [[0, 1, 1], [1, 1, 1]],
  });
  const grown = onBoth(recordWith("active"));
  const texts = (home: VolumeRecord, rest: VolumeRecord) => {
    const kept = mediumWith(labelWith([home]), "AB", true);
    const failed = new SimMedium("/unit1/b.img", { sizeBytes: 16 * MIB, isVolatile: true });
    failed.held = true;
    failed.preset(0, encodeCopies({ ...labelWith([rest]), mediumId: OTHER }).A);
    const complaints = new Complaints();
    const media = new Map([kept, failed].map((medium) => [medium.path, medium]));
    const checker = new DurableLabelsChecker(complaints, media);
    const params = { volumeId: VOLUME, station: STATION, generation: GENERATION };
    const answer = { process: "unit1", result: null, error: null, askedAtMs: 0 } as const;
    checker.workerAnswered({ ...answer, call: "accessRevoke", params });
    return complaints.texts.join();
  };
  const fenced = { ...recordWith("fenced"), sequence: 3 };
  assert.equal(texts(fenced, grown), "");
  assert.match(texts(onBoth(fenced), grown), /is active/);
  assert.match(texts({ ...fenced, sequence: 2 }, grown), /is active/);
});

Deno.test("labels: a label of which nothing is durable is caught", () => {
  const medium = mediumWith(labelWith([recordWith("fenced")]), "AB", false);
  const texts = complaintsOf(medium, "accessRevoke", { generation: GENERATION });
  assert.match(texts[0] ?? "", /no durable copy/);
});

Deno.test("labels: what a unit does not have open does not count", () => {
  const medium = mediumWith(labelWith([recordWith("active")]), "AB", true);
  medium.held = false;
  assert.deepEqual(complaintsOf(medium, "accessRevoke", { generation: GENERATION }), []);
});

Deno.test("labels: what was adopted and stays granted is caught, what was granted since is not", () => {
  const takenOver = { unitId: HOST, sequence: 1 };
  const adopted = (state: "active" | "fenced", wasServed: boolean) => {
    const label = { ...labelWith([recordWith(state)]), takenOver };
    const medium = mediumWith(label, "AB", true);
    const complaints = new Complaints();
    const checker = new DurableLabelsChecker(complaints, new Map([[medium.path, medium]]));
    const answer = { process: "unit1", error: null, askedAtMs: 1e6 } as const;
    const media = [{ id: MEDIUM, state: wasServed ? "ok" : "foreign" }];
    const listed = { media, volumes: [] };
    checker.workerAnswered({ ...answer, call: "storageInfo", params: null, result: listed });
    const params = { action: "adopt", mediumId: MEDIUM, station: STATION };
    checker.workerAnswered({ ...answer, call: "mediumChange", params, result: null });
    return complaints.texts.join();
  };
  assert.equal(adopted("fenced", false), "");
  assert.match(adopted("active", false), /volume 0f1e2d3c.* is granted to \w+ as before/);
  assert.equal(adopted("active", true), "");
});

Deno.test("labels: what is granted for the first time and not zeroed is caught, but not what was used", () => {
  for (const wasTold of [false, true]) {
    const medium = mediumWith(labelWith([recordWith("active")]), "AB", true);
    medium.preset(2 * MIB, new Uint8Array([1]));
    const complaints = new Complaints();
    const checker = new DurableLabelsChecker(complaints, new Map([[medium.path, medium]]));
    const answer = { process: "unit1", error: null, askedAtMs: 0 };
    const change = { volumeId: VOLUME, station: STATION };
    const grant = { generation: GENERATION, hostId: HOST, sizeBytes: MIB };
    checker.workerAnswered({ ...answer, call: "volumeCreate", params: change, result: null });
    // Its grant was cut off before it was acknowledged, and its host has written since.
    const volume = { id: VOLUME, state: "ready", grant: { ...grant, state: "active" } };
    const listed = { media: [], volumes: wasTold ? [volume] : [] };
    checker.workerAnswered({ ...answer, call: "storageInfo", params: null, result: listed });
    const params = { ...change, ...grant };
    checker.workerAnswered({ ...answer, call: "accessGrant", params, result: null });
    assert.equal(/byte 2097152 of .* was not zeroed/.test(complaints.texts.join()), !wasTold);
    assert.equal(complaints.texts.length, wasTold ? 0 : 1);
  }
});

Deno.test("fences: a host that is told of space or a grant before its grant is caught", () => {
  const complaints = new Complaints();
  const checker = new FencesChecker(complaints);
  const result = { leg: { diskId: DISK } };
  const answer = (process: string, call: CallName, params: unknown) =>
    checker.workerAnswered({ process, call, params, result, error: null, askedAtMs: 0 });
  const assignment = (sizeBytes: number, generation = GENERATION) => ({
    legs: [{ volumeId: VOLUME, unitName: "unit1", sizeBytes, generation }],
  });
  answer("unit1", "volumeCreate", { volumeId: VOLUME, leg: { diskId: DISK } });
  const grant = { volumeId: VOLUME, hostId: HOST, sizeBytes: MIB, generation: GENERATION };
  answer("unit1", "accessGrant", grant);
  answer("host1", "diskAttach", { assignment: assignment(MIB) });
  assert.deepEqual(complaints.texts, []);
  answer("host1", "diskUpdate", assignment(2 * MIB));
  assert.match(complaints.texts.pop() ?? "", /host1 was told of 2097152 bytes/);
  const newer = { epoch: 1, counter: 2 };
  answer("host1", "diskUpdate", assignment(MIB, newer));
  assert.match(complaints.texts.pop() ?? "", /grant 1\.2, .* the newest 1\.1$/);
  answer("unit1", "accessGrant", { ...grant, generation: newer });
  answer("host1", "diskUpdate", assignment(MIB, newer));
  assert.deepEqual(complaints.texts, []);
});

/** What a packet of a kind looks like from outside. */
function packetOf(kind: "sealed" | "handshake" | "hint"): Uint8Array {
  const type = kind === "sealed" ? "ACK" : kind === "hint" ? "UNKNOWN_SESSION" : "UNIT_STARTUP";
  const body = new Uint8Array(kind === "hint" ? 0 : 100);
  const named = { type, kind, cluster: new Uint8Array(16), session: HOST } as const;
  const header = encodeHeader(packetHeader(named), body.length);
  const packet = new Uint8Array(header.length + body.length);
  packet.set(header);
  return packet;
}

Deno.test("strangers: only what is sealed must not reach an attacker's address", () => {
  const complaints = new Complaints();
  const checker = new StrangersChecker(complaints, "10.66.6.6");
  const from = { address: "10.0.0.1", port: 1 };
  const attacker = { address: "10.66.6.6", port: 1 };
  checker.sent({ packet: packetOf("handshake"), from, to: attacker });
  checker.sent({ packet: packetOf("hint"), from, to: attacker });
  checker.sent({ packet: packetOf("sealed"), from, to: { address: "10.0.0.2", port: 1 } });
  assert.deepEqual(complaints.texts, []);
  checker.sent({ packet: packetOf("sealed"), from, to: attacker });
  assert.match(complaints.texts[0] ?? "", /10\.0\.0\.1 sent ACK/);
});
