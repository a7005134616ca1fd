import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { seeded } from "../../../storage/media/testing.ts";
import type { Catalog, Change } from "./catalog.ts";
import { openCatalog, type OpenedCatalog } from "./open.ts";
import { recoveredReasons } from "./recovered.ts";
import type { DiskRow, GrantRow, VolumeRow } from "./rows.ts";

const OPTIONS = { clusterId: "11111111-1111-4111-8111-111111111111", isNew: false };
const FILE = "catalog-1.sqlite";
const PAGE_BYTES = 4096;
const DISKS = 60;
/** Of each kind of damage; one takes about 50 ms. */
const SEEDS = 30;

/** A folder with a catalog of many records, whole. */
class Damaged implements Disposable {
  readonly path = Deno.makeTempDirSync();
  readonly files = new Map<string, Uint8Array>();
  readonly rows = new Map<string, object>();

  async fill(): Promise<void> {
    const { catalog } = await this.open({ ...OPTIONS, isNew: true });
    await catalog.commit(records());
    await catalog.close();
    for (const change of records()) {
      if ("put" in change) this.rows.set(nameOf(change), change.put);
    }
  }

  open(options = OPTIONS): Promise<OpenedCatalog> {
    const files = {
      read: (name: string) => this.files.get(name) ?? null,
      write: (name: string, bytes: Uint8Array) => void this.files.set(name, bytes),
      path: (name: string) => `${this.path}/${name}`,
    };
    return openCatalog(files, (name) => new DatabaseSync(files.path(name)), options);
  }

  damage(how: (bytes: Uint8Array) => Uint8Array): void {
    const path = `${this.path}/${FILE}`;
    Deno.writeFileSync(path, how(Deno.readFileSync(path)));
  }

  /** Every record that is there must be exactly one that was written; disks are to be seen. */
  check(catalog: Catalog): number {
    const { disks, volumes, grants, nodes } = catalog;
    const marks = recoveredReasons(catalog) === null ? {} : { adopted: 1 };
    let count = 0;
    for (const [table, rows] of Object.entries({ disks, volumes, grants, nodes })) {
      for (const [key, row] of rows) {
        const written = this.rows.get(`${table} ${key}`);
        const wanted = table === "disks" ? { ...written, ...marks } : written;
        assert.deepEqual({ ...row }, wanted, `${table} ${key}`);
        count++;
      }
    }
    for (const volume of volumes.values()) assert.ok(disks.has(volume.diskId));
    for (const grant of grants.values()) assert.ok(volumes.has(grant.volumeId));
    return count;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

function nameOf(change: Change): string {
  if (!("put" in change)) return "";
  const row = change.put as unknown as Record<string, string>;
  return `${change.table} ${row["id"] ?? row["volumeId"]}`;
}

function records(): Change[] {
  return [
    {
      table: "nodes",
      put: {
        id: "unit",
        name: "u1",
        role: "unit",
        publicKey: new Uint8Array(32).fill(3),
        admission: "admitted",
        spare: 0,
        version: "1",
        interfacesJson: "[]",
        dataAddressesJson: '["192.0.2.1:10809"]',
        quotaBytes: Number.MAX_SAFE_INTEGER,
        joinedMs: 5,
      },
    },
    ...Array.from({ length: DISKS }, (_, number) => recordsOf(number)).flat(),
  ];
}

function recordsOf(number: number): Change[] {
  const disk: DiskRow = {
    id: `d${number}`.padEnd(36, "x"),
    name: `disk${number}`,
    hostId: "h".repeat(32),
    layout: "linear",
    sizeBytes: number * 4096,
    version: 3,
    deliveredVersion: 3,
    state: "ready",
    access: "agent",
    adopted: 0,
    createdMs: 1_000_000 + number,
  };
  const volume: VolumeRow = {
    id: `v${number}`.padEnd(36, "x"),
    diskId: disk.id,
    unitId: "unit",
    leg: 0,
    sizeBytes: number * 4096,
    publishedBytes: number * 4096,
    created: 1,
    number,
    startLba: 0,
  };
  const grant: GrantRow = {
    volumeId: volume.id,
    epoch: 7,
    counter: number,
    state: "active",
    grantedBytes: number * 4096,
    tokenHash: new Uint8Array(32).fill(number),
    addressesJson: "[]",
  };
  return [
    { table: "disks", put: disk },
    { table: "volumes", put: volume },
    { table: "grants", put: grant },
  ];
}

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
      for (const { name } of Deno.readDirSync(whole.path)) Deno.removeSync(`${whole.path}/${name}`);
      whole.files.clear();
      Deno.writeFileSync(`${whole.path}/${FILE}`, pristine);
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
  assert.match(problems[0]!, /Not taken over: grants v37x+: its record is gone/);
  await catalog.close();
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
  assert.deepEqual(setAside[0]?.lost, ["nodes unit: its record is gone"]);
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
