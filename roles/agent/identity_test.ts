import assert from "node:assert/strict";
import { formatJoinKey, type JoinKey } from "../../protocol/config/join_key.ts";
import { SeededRandom } from "../../protocol/config/test_world.ts";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError, type ErrorCode } from "../../protocol/core/errors.ts";
import { forgetJoinSecret, openIdentity, type StateFiles } from "./identity.ts";
import { parseStation } from "./station_address.ts";

class MemoryFiles implements StateFiles {
  readonly files = new Map<string, Uint8Array>();
  writes = 0;

  read(name: string): Uint8Array | null {
    return this.files.get(name) ?? null;
  }

  write(name: string, bytes: Uint8Array): void {
    this.writes++;
    this.files.set(name, bytes);
  }
}

function joinKey(change: Partial<JoinKey> = {}): string {
  return formatJoinKey({
    role: "unit",
    stationKey: new Uint8Array(32).fill(1),
    clusterId: new Uint8Array(16).fill(2),
    secret: new Uint8Array(32).fill(3),
    ...change,
  });
}

function refused(code: ErrorCode, words: RegExp) {
  return (error: unknown) =>
    error instanceof DvsanError && error.code === code && words.test(error.message);
}

const random = new SeededRandom(1);
const role = "unit" as const;

Deno.test("openIdentity() makes an identity once, and needs no key any more after that", () => {
  const files = new MemoryFiles();
  files.files.set("unit.key", utf8(joinKey()));
  const first = openIdentity({ files, random, role });
  assert.match(first.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(first.joinSecret, new Uint8Array(32).fill(3));
  assert.equal(first.clusterId, "02020202-0202-0202-0202-020202020202");
  files.files.delete("unit.key");
  forgetJoinSecret(files);
  const { writes } = files;
  const second = openIdentity({ files, random, role });
  assert.equal(second.id, first.id);
  assert.deepEqual(second.stationKey, new Uint8Array(32).fill(1));
  assert.equal(second.joinSecret, null);
  forgetJoinSecret(files);
  assert.equal(files.writes, writes, "nothing is written when nothing changes");
});

Deno.test("openIdentity() of a member proves a join key that is there: the catalog may be lost", () => {
  const files = new MemoryFiles();
  files.files.set("unit.key", utf8(joinKey()));
  const first = openIdentity({ files, random, role });
  forgetJoinSecret(files);
  const second = openIdentity({ files, random, role });
  assert.deepEqual([second.id, second.joinSecret], [first.id, first.joinSecret]);
  const text = joinKey({ secret: new Uint8Array(32).fill(4) });
  const rotated = openIdentity({ files, random, role, key: { text, path: "K" } });
  assert.deepEqual(rotated.joinSecret, new Uint8Array(32).fill(4));
});

Deno.test("openIdentity() refuses no key, a bad key and the other role's key in words", () => {
  const files = new MemoryFiles();
  const open = (text?: string) => () =>
    openIdentity({ files, random, role, ...(text !== undefined && { key: { text, path: "K" } }) });
  assert.throws(open(), refused("usage", /unit\.key/));
  assert.throws(open("nonsense"), refused("invalid", /join key K/));
  assert.throws(open(joinKey().slice(0, -3)), refused("invalid", /join key K/));
  assert.throws(open(joinKey({ role: "host" })), refused("denied", /it is for hosts/));
  assert.equal(files.writes, 0);
});

Deno.test("openIdentity() keeps its station unless it is told to rejoin, and its id even then", () => {
  const files = new MemoryFiles();
  const key = (change: Partial<JoinKey>) => ({ text: joinKey(change), path: "K" });
  const first = openIdentity({ files, random, role, key: key({}) });
  const other = key({ stationKey: new Uint8Array(32).fill(9) });
  assert.throws(
    () => openIdentity({ files, random, role, key: other }),
    refused("denied", /another station/),
  );
  const rejoined = openIdentity({ files, random, role, key: other, rejoin: true });
  assert.equal(rejoined.id, first.id);
  assert.deepEqual(rejoined.stationKey, new Uint8Array(32).fill(9));
});

Deno.test("openIdentity() never replaces a damaged identity, and tells roles apart", () => {
  const files = new MemoryFiles();
  openIdentity({ files, random, role, key: { text: joinKey(), path: "K" } });
  assert.throws(() => openIdentity({ files, random, role: "host" }), refused("usage", /of a unit/));
  const kept = fromUtf8(files.files.get("node.json")!)!;
  files.files.set("node.json", utf8(kept.slice(0, 40)));
  assert.throws(() => openIdentity({ files, random, role }), refused("io", /damaged/));
});

Deno.test("parseStation() reads addresses, names and auto, and refuses the rest", () => {
  const read = (text: string) => {
    const { kind, host, port } = parseStation(text);
    return `${kind} ${host} ${port}`;
  };
  assert.equal(read("192.0.2.1"), "address 192.0.2.1 10810");
  assert.equal(read("192.0.2.1:99"), "address 192.0.2.1 99");
  assert.equal(read("[2001:db8::1]:99"), "address 2001:db8::1 99");
  assert.equal(read("[::1]"), "address ::1 10810");
  assert.equal(read("::1"), "address ::1 10810");
  assert.equal(read("2001:db8::1"), "address 2001:db8::1 10810");
  assert.equal(read("station.example:7"), "name station.example 7");
  assert.equal(read("auto"), "auto 239.255.68.86 10810");
  for (const bad of ["", ":1", "host:0", "host:70000", "host:x", "[::1", "a b"]) {
    assert.throws(() => parseStation(bad), refused("usage", /HOST/), bad);
  }
});
