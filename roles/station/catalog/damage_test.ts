import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { seeded } from "../../../storage/media/testing.ts";
import { recoveredReasons } from "./recovered.ts";
import { Damaged, DISKS, FILE, OPTIONS } from "./damaged_testing.ts";
import { sumOf } from "./row_sums.ts";

const PAGE_BYTES = 4096;
/** Of each kind of damage; one takes about 50 ms. */
const SEEDS = 30;

const HOW: Readonly<Record<string, (bytes: Uint8Array, next: () => number) => Uint8Array>> = {
  "flipped bits": (bytes, next) => {
    for (let flips = Math.ceil(next() * 8); flips > 0; flips--) {
      const at = Math.floor(next() * bytes.length);
      bytes[at] = bytes[at]! ^ (1 << Math.floor(next() * 8));
    }
    return bytes;
  },
  "zeroed pages": (bytes, next) => {
    for (let pages = Math.ceil(next() * 3); pages > 0; pages--) {
      const page = Math.floor(next() * (bytes.length / PAGE_BYTES));
      bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    }
    return bytes;
  },
  "a lost end": (bytes, next) => bytes.subarray(0, Math.floor(next() * bytes.length)),
};

/** One record in so many is kept at least. What was written last is at the end. */
const LEAST: Readonly<Record<string, number>> = {
  "flipped bits": 4,
  "zeroed pages": 4,
  "a lost end": 40,
};

for (const [name, how] of Object.entries(HOW)) {
  Deno.test(`a catalog with ${name} gives what is right of it, and names what is not`, async () => {
    using whole = new Damaged();
    await whole.fill();
    const pristine = Deno.readFileSync(`${whole.path}/${FILE}`);
    let kept = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      whole.renew(pristine);
      whole.damage((bytes) => how(bytes, seeded(seed)));
      const { catalog, setAside, problems, fileName } = await whole.open();
      const count = whole.check(catalog);
      kept += count;
      // A bit that was flipped where nothing is written harms nothing.
      if (count < whole.rows.size) assert.ok(problems.length > 0, `seed ${seed}: nothing is said`);
      assert.equal(fileName !== FILE, setAside.length > 0);
      const again = catalog.volumes.size;
      await catalog.close();
      const second = await whole.open();
      assert.deepEqual([second.problems, second.catalog.volumes.size], [[], again], `seed ${seed}`);
      await second.catalog.close();
    }
    const least = SEEDS * whole.rows.size / LEAST[name]!;
    assert.ok(kept >= least, `only ${kept} records were kept of ${SEEDS * whole.rows.size}`);
  });
}

Deno.test("of a catalog without its last page the other pages' records are kept", async () => {
  using folder = new Damaged();
  await folder.fill();
  folder.damage((bytes) => bytes.subarray(0, bytes.length - PAGE_BYTES));
  const { catalog, problems } = await folder.open();
  assert.ok(folder.check(catalog) > folder.rows.size / 2);
  assert.match(problems[0]!, /Not taken over: grants: 23 records could not be read: .*malformed/);
  assert.match(problems[0]!, /; grants v37x+: its record is gone/);
  await catalog.close();
});

Deno.test("records before and behind pages that cannot be read are kept", async () => {
  using folder = new Damaged();
  await folder.fill();
  const pristine = Deno.readFileSync(`${folder.path}/${FILE}`);
  const pageOf = (page: number) => pristine.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  const isLeaf = (page: number) =>
    pageOf(page)[0] === 0x0d && /linear/.test(new TextDecoder("latin1").decode(pageOf(page)));
  const leaves = Array.from({ length: pristine.length / PAGE_BYTES }, (_, page) => page)
    .slice(1).filter(isLeaf);
  assert.ok(leaves.length > 1, `disks are in ${leaves.length} pages`);
  for (const bad of leaves) {
    folder.renew(pristine);
    folder.damage((bytes) => bytes.fill(0xff, bad * PAGE_BYTES, (bad + 1) * PAGE_BYTES));
    const { catalog, setAside } = await folder.open();
    folder.check(catalog);
    assert.ok(catalog.disks.size >= DISKS / 3, `without page ${bad}: ${catalog.disks.size} disks`);
    assert.match(setAside[0]!.lost.join("\n"), /disks: \d+ records could not be read: .*malformed/);
    await catalog.close();
  }
});

Deno.test("one bad record is set aside and named, and all others are kept", async () => {
  using folder = new Damaged();
  await folder.fill();
  using raw = new DatabaseSync(`${folder.path}/${FILE}`);
  raw.exec("UPDATE grants SET counter = 999 WHERE volumeId LIKE 'v7x%'");
  raw.close();
  const { catalog, setAside, problems } = await folder.open();
  assert.equal(catalog.grants.size, DISKS - 1);
  assert.deepEqual(setAside[0]?.lost, [`grants ${"v7".padEnd(36, "x")}: its checksum is wrong`]);
  assert.match(problems[0]!, /grants v7x+: its checksum is wrong/);
  await catalog.close();
});

Deno.test("records whose page is all zeroes are named by their index", async () => {
  using folder = new Damaged();
  await folder.fill();
  using raw = new DatabaseSync(`${folder.path}/${FILE}`);
  const { rootpage } = raw.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'nodes'")
    .get() as { rootpage: number };
  raw.close();
  folder.damage((bytes) => bytes.fill(0, (rootpage - 1) * PAGE_BYTES, rootpage * PAGE_BYTES));
  const { catalog, setAside } = await folder.open();
  assert.deepEqual(setAside[0]?.lost, [
    "nodes: 1 record could not be read: database disk image is malformed",
    "nodes unit: its record is gone",
  ]);
  assert.equal(catalog.disks.size, DISKS);
  await catalog.close();
});

Deno.test("a catalog of another cluster is set aside whole", async () => {
  using folder = new Damaged();
  await folder.fill();
  const clusterId = OPTIONS.clusterId.replace("1111", "2222");
  const { catalog, problems } = await folder.open({ ...OPTIONS, clusterId });
  assert.equal(catalog.disks.size, 0);
  assert.match(problems[0]!, /belongs to cluster 11111111-/);
  await catalog.close();
  const { catalog: old, setAside } = await folder.open({ ...OPTIONS, clusterId });
  assert.deepEqual([old.disks.size, setAside], [0, []]);
  await old.close();
});

Deno.test("a catalog that is missing is said to be, unless the station is new", async () => {
  for (const isNew of [true, false]) {
    using folder = new Damaged();
    const { catalog, problems } = await folder.open({ ...OPTIONS, isNew });
    assert.equal(problems.length, isNew ? 0 : 1);
    await catalog.close();
  }
});

Deno.test("yesterday's file beside today's write-ahead log is set aside, though all looks sound", async () => {
  using folder = new Damaged();
  await folder.fill();
  const path = `${folder.path}/${FILE}`;
  const yesterday = Deno.readFileSync(path);
  const { catalog: before } = await folder.open();
  const node = before.nodes.get("unit")!;
  await before.commit([{ table: "nodes", put: { ...node, admission: "revoked" } }]);
  using other = new DatabaseSync(path);
  // What is committed from here on begins the log anew; the file has all that came before.
  other.exec("PRAGMA wal_checkpoint(RESTART)");
  const commits = before.commits + 1;
  await before.commit([{ table: "meta", put: { key: "note", value: "today" } }]);
  const log = Deno.readFileSync(`${path}-wal`);
  other.close();
  await before.close();
  Deno.writeFileSync(path, yesterday);
  Deno.writeFileSync(`${path}-wal`, log);
  const { catalog, setAside, problems } = await folder.open();
  assert.match(setAside[0]?.reason ?? "", /not all of one moment.*put back from a copy/);
  assert.deepEqual(recoveredReasons(catalog), problems);
  // The count of commits is in the log, so it does not show it.
  assert.ok(catalog.commits >= commits);
  assert.equal(catalog.nodes.get("unit")?.admission, "admitted");
  assert.equal(folder.check(catalog), folder.rows.size);
  await catalog.close();
  const again = await folder.open();
  assert.deepEqual(again.setAside, []);
  await again.catalog.close();
});

Deno.test("what a version wrote that knows no sum of all records is no damage", async () => {
  using folder = new Damaged();
  await folder.fill();
  const { catalog: newer } = await folder.open();
  const commits = newer.commits + 1;
  await newer.close();
  using older = new DatabaseSync(`${folder.path}/${FILE}`);
  for (const row of [{ key: "note", value: "1" }, { key: "commits", value: `${commits}` }]) {
    older.prepare("INSERT OR REPLACE INTO meta (key, value, sum) VALUES (?, ?, ?)")
      .run(row.key, row.value, sumOf("meta", row));
  }
  older.close();
  for (let starts = 0; starts < 2; starts++) {
    const { catalog, setAside, problems } = await folder.open();
    assert.deepEqual([setAside, problems], [[], []]);
    assert.equal(catalog.meta.get("note")?.value, "1");
    await catalog.commit([{ table: "meta", put: { key: `start ${starts}`, value: "1" } }]);
    await catalog.close();
  }
  using raw = new DatabaseSync(`${folder.path}/${FILE}`);
  raw.exec("DELETE FROM meta WHERE key = 'start 0'");
  raw.close();
  const { catalog, setAside } = await folder.open();
  assert.match(setAside[0]?.reason ?? "", /not all of one moment/);
  await catalog.close();
});

Deno.test("of two records that cannot be in one table the first is kept, and the other named", async () => {
  using folder = new Damaged();
  await folder.fill();
  using raw = new DatabaseSync(`${folder.path}/${FILE}`);
  const columns = raw.prepare("SELECT name FROM pragma_table_info('nodes')").all()
    .map(({ name }) => String(name));
  const values = columns.map((column) =>
    column === "id" ? "'other'" : column === "name" ? "'u2'" : column === "sum" ? "NULL" : column
  );
  raw.exec(`INSERT INTO nodes SELECT ${values.join()} FROM nodes`);
  raw.close();
  // As by a page of another moment, when the unit had the other's name.
  folder.damage((bytes) => {
    const at = new TextDecoder("latin1").decode(bytes).indexOf("otheru2");
    assert.ok(at > 0);
    bytes.set(new TextEncoder().encode("u1"), at + "other".length);
    return bytes;
  });
  const { catalog, setAside } = await folder.open();
  assert.deepEqual(setAside[0]?.lost, ["nodes other: it has the name of unit, too"]);
  assert.equal(folder.check(catalog), folder.rows.size);
  await catalog.close();
});

Deno.test("a catalog that is cut in the last page of a long record is set aside, and no disk's fault", async () => {
  using folder = new Damaged();
  await folder.fill();
  const { catalog: whole } = await folder.open();
  await whole.commit([{ table: "meta", put: { key: "long", value: "x".repeat(5 * PAGE_BYTES) } }]);
  await whole.close();
  folder.damage((bytes) => bytes.subarray(0, bytes.length - PAGE_BYTES + 20));
  const { catalog, setAside } = await folder.open();
  assert.equal(folder.check(catalog), folder.rows.size);
  assert.match(setAside[0]!.lost.join("\n"), /^meta: 1 record could not be read/);
  await catalog.close();
});
