import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Damaged, DISKS, FILE, oneOfEach } from "./damaged_testing.ts";
import { CatalogKeeper } from "./keeper.ts";

const HEADER_BYTES = 100;
/** Of the bits of the file's header and of its schema, each in so many; all of them take minutes. */
const EACH = 149;

/** Where the header is, and every statement that makes a table, as SQLite keeps them. */
function schemaBits(file: Uint8Array): number[] {
  const text = new TextDecoder("latin1").decode(file);
  const bytes = new Set(Array.from({ length: HEADER_BYTES }, (_, at) => at));
  // A record is its header, "table", the name twice, the number of its page, and the statement.
  for (const { index, 0: made } of text.matchAll(/.{40}CREATE TABLE \w+ [^\0]+/gs)) {
    for (let at = 0; at < made.length; at++) bytes.add(index + at);
  }
  return [...bytes].flatMap((byte) => Array.from({ length: 8 }, (_, bit) => byte * 8 + bit));
}

Deno.test("a bit that is flipped in a catalog's header or schema costs no record", async () => {
  using whole = new Damaged();
  await whole.fill();
  const pristine = Deno.readFileSync(`${whole.path}/${FILE}`);
  const bits = schemaBits(pristine);
  assert.ok(bits.length > 20_000);
  let setAsides = 0;
  for (let nth = 7; nth < bits.length; nth += EACH) {
    const bit = bits[nth]!;
    whole.renew(pristine);
    whole.damage((bytes) => {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      return bytes;
    });
    const { catalog, setAside, problems } = await whole.open();
    const words = `bit ${bit}: ${problems}`;
    assert.equal(whole.check(catalog), whole.rows.size, words);
    assert.equal(problems.length, setAside.length, words);
    setAsides += setAside.length;
    await catalog.commit(oneOfEach()).catch((error) => assert.fail(`${words}: ${error}`));
    await catalog.close();
  }
  assert.ok(setAsides > 50, `only ${setAsides} were set aside`);
});

/** A bit of each, in the statement that makes a table: the file is sound for SQLite. */
const FLIPPED: readonly { readonly from: string; readonly to: string; readonly table: string }[] = [
  { from: "dataAddressesJson", to: "dataAddressesJsoo", table: "nodes" },
  { from: "'pending'", to: "'pendinf'", table: "nodes" },
  { from: "'host')), publicKey", to: "'hosu')), publicKey", table: "nodes" },
  { from: "deliveredVersion", to: "deliveredVersioo", table: "disks" },
];

for (const { from, to, table } of FLIPPED) {
  Deno.test(`a catalog whose ${from} became ${to} is set aside, and all of it is kept`, async () => {
    using folder = new Damaged();
    await folder.fill();
    folder.damage((bytes) => replaced(bytes, from, to));
    const { catalog, setAside, problems } = await folder.open();
    assert.match(
      setAside[0]?.reason ?? "",
      new RegExp(`the table ${table} is not made as it has to be`),
    );
    assert.equal(folder.check(catalog), folder.rows.size, problems.join());
    await catalog.commit(oneOfEach());
    await catalog.close();
  });
}

Deno.test("what another table's page holds is no record of the table that was led there", async () => {
  using folder = new Damaged();
  await folder.fill();
  using raw = new DatabaseSync(`${folder.path}/${FILE}`);
  const place = (table: string) => `(SELECT rootpage FROM sqlite_schema WHERE name = '${table}')`;
  // Which the types do not know yet.
  (raw as DatabaseSync & { enableDefensive(isOn: boolean): void }).enableDefensive(false);
  raw.exec("PRAGMA writable_schema = ON");
  raw.exec(`UPDATE sqlite_schema SET rootpage = ${place("kysely_migration")} WHERE name = 'meta'`);
  raw.close();
  const { catalog, setAside, problems } = await folder.open();
  assert.equal(setAside.length, 1);
  assert.equal(folder.check(catalog), folder.rows.size, problems.join());
  assert.deepEqual([...catalog.meta.keys()].filter((key) => /^\d{4}_/.test(key)), []);
  await catalog.close();
});

for (const at of [18, 19]) {
  Deno.test(`a catalog whose header has a later format in byte ${at} is set aside`, async () => {
    for (const format of [3, 66]) {
      using folder = new Damaged();
      await folder.fill();
      folder.damage((bytes) => bytes.fill(format, at, at + 1));
      const { catalog, setAside, problems } = await folder.open();
      assert.match(setAside[0]?.reason ?? "", /its header is damaged/);
      assert.match(problems.join(), /\d+ records of it were taken over/);
      assert.equal(folder.check(catalog), folder.rows.size);
      await catalog.commit(oneOfEach());
      await catalog.close();
    }
  });
}

for (const [what, start, end] of [["header", 0, 100], ["first page", 0, 4096]] as const) {
  Deno.test(`without its ${what} a catalog gives all that its write-ahead log has, too`, async () => {
    using folder = new Damaged();
    await folder.fill();
    const path = `${folder.path}/${FILE}`;
    const { catalog: before } = await folder.open();
    const node = before.nodes.get("unit")!;
    await before.commit([{ table: "nodes", put: { ...node, admission: "revoked" } }]);
    const file = Deno.readFileSync(path);
    const log = Deno.readFileSync(`${path}-wal`);
    await before.close();
    folder.renew(file.fill(0, start, end));
    Deno.writeFileSync(`${path}-wal`, log);
    const { catalog, problems } = await folder.open();
    assert.equal(catalog.nodes.get("unit")?.admission, "revoked", problems.join());
    assert.equal(catalog.disks.size, DISKS);
    await catalog.close();
  });
}

Deno.test("of a catalog whose tables stand in other pages nothing is made up", async () => {
  using folder = new Damaged();
  await folder.fill();
  const path = `${folder.path}/${FILE}`;
  using raw = new DatabaseSync(path);
  raw.exec("DROP TABLE kysely_migration; VACUUM");
  raw.close();
  folder.damage((bytes) => bytes.fill(0, 0, 100));
  const { catalog, problems } = await folder.open();
  assert.ok(folder.check(catalog) < folder.rows.size);
  assert.match(problems.join(), /Not taken over/);
  await catalog.commit(oneOfEach());
  await catalog.close();
});

Deno.test("check() tells of a table that is not made as it has to be", async () => {
  using folder = new Damaged();
  await folder.fill();
  const opened = await folder.open();
  const keeper = new CatalogKeeper(opened, folder.io);
  assert.deepEqual((await keeper.check()).findings, []);
  using other = new DatabaseSync(`${folder.path}/${FILE}`);
  other.exec("ALTER TABLE disks RENAME COLUMN layout TO layouu");
  const { findings } = await keeper.check();
  assert.ok(findings.includes("the table disks is not made as it has to be"), findings.join());
  const repaired = await keeper.repair();
  assert.deepEqual(repaired.findings, []);
  assert.equal(folder.check(opened.catalog), folder.rows.size);
  await opened.catalog.close();
});

function replaced(bytes: Uint8Array, from: string, to: string): Uint8Array {
  assert.equal(from.length, to.length);
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf(from);
  assert.ok(at >= 0 && text.indexOf(from, at + 1) < 0, `${from} is there once`);
  bytes.set(new TextEncoder().encode(to), at);
  return bytes;
}
