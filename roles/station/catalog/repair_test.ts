import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { seeded } from "../../../storage/media/testing.ts";
import type { CatalogFiles } from "../ports.ts";
import type { Change } from "./catalog.ts";
import { Damaged, FILE, OPTIONS } from "./damaged_testing.ts";
import { POINTER } from "./files.ts";
import { CatalogKeeper } from "./keeper.ts";
import { openCatalog } from "./open.ts";
import type { EventRow, TaskLogRow } from "./rows.ts";

const PAGE_BYTES = 4096;
/** Of a repair beneath a running station and of a start; one takes about 200 ms. */
const SEEDS = 24;
const EVENTS = 300;
/** The cell of a leaf of a table and of an index begins with this byte. */
const LEAF = { events: 0x0d, taskLogs: 0x0a };

type History = ReadonlyMap<string, EventRow | TaskLogRow>;

function historyChanges(): Change[] {
  const events = Array.from({ length: EVENTS }, (_, at): Change => ({
    table: "events",
    append: {
      ...{ number: at + 1, atMs: at, kind: "volume.adopted", severity: "warn", subject: "db" },
      text: `Adopted volume ${at} of unit. `.repeat(4),
    },
  }));
  const lines = Array.from({ length: EVENTS }, (_, at): Change => ({
    table: "taskLogs",
    append: {
      taskId: `${(Math.floor(at / 8) * 7919) % 97}`.padStart(36, "t"),
      ...{ line: at % 8, atMs: at, text: `asking unit ${at} to adopt it `.repeat(3) },
    },
  }));
  return [...events, ...lines];
}

function nameOf(row: EventRow | TaskLogRow): string {
  return "number" in row ? `events ${row.number}` : `taskLogs ${row.taskId} ${row.line}`;
}

const WRITTEN: History = new Map(
  historyChanges().flatMap((change) => "append" in change ? [change.append] : [])
    .map((row) => [nameOf(row), row]),
);

/** A folder with a whole catalog that has a history, and its bytes. */
async function withHistory(): Promise<{ folder: Damaged; pristine: Uint8Array }> {
  const folder = new Damaged();
  await folder.fill();
  const { catalog } = await folder.open();
  await catalog.commit(historyChanges());
  await catalog.close();
  return { folder, pristine: Deno.readFileSync(`${folder.path}/${FILE}`) };
}

async function started(folder: Damaged, files: CatalogFiles = folder.io.files) {
  const opened = await openCatalog(files, folder.io.open, OPTIONS);
  const keeper = new CatalogKeeper(opened, { files, open: folder.io.open });
  return { ...opened, keeper };
}

/** All that is held must be exactly what was written, and nothing twice. */
async function historyOf({ database }: Awaited<ReturnType<typeof started>>["catalog"]) {
  const columns = ["number", "atMs", "kind", "severity", "subject", "text"] as const;
  const rows = [
    ...await database.selectFrom("events").select(columns).execute(),
    ...await database.selectFrom("taskLogs").select(["taskId", "line", "atMs", "text"]).execute(),
  ];
  for (const row of rows) assert.deepEqual({ ...row }, WRITTEN.get(nameOf(row)), nameOf(row));
  assert.equal(new Set(rows.map(nameOf)).size, rows.length);
  return rows.map(nameOf);
}

/** Writes one page's bytes to another one's place, beneath who may have the file open. */
function overwrite(folder: Damaged, { to, bytes }: { to: number; bytes: Uint8Array }): void {
  using file = Deno.openSync(`${folder.path}/${FILE}`, { write: true });
  file.seekSync(to * PAGE_BYTES, Deno.SeekMode.Start);
  file.writeSync(bytes);
}

function pageOf(bytes: Uint8Array, page: number): Uint8Array {
  return bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
}

/** The pages of that kind in which these words are. */
function leavesOf(bytes: Uint8Array, { kind, words }: { kind: number; words: string }): number[] {
  const all = Array.from({ length: bytes.length / PAGE_BYTES }, (_, page) => page).slice(1);
  return all.filter((page) => {
    const content = pageOf(bytes, page);
    return content[0] === kind && new TextDecoder("latin1").decode(content).includes(words);
  });
}

/** A state directory in which the catalog cannot be named as long as it is full. */
function fullPointer(folder: Damaged, isFull: () => boolean): CatalogFiles {
  const { files } = folder.io;
  return {
    ...files,
    write: (name: string, bytes: Uint8Array) => {
      if (isFull() && name === POINTER) throw new DvsanError("io", "no space for the name");
      files.write(name, bytes);
    },
  };
}

Deno.test("a catalog of which a page of events or task logs is another's is repaired", async () => {
  const { folder, pristine } = await withHistory();
  using _ = folder;
  const events = leavesOf(pristine, { kind: LEAF.events, words: "volume.adopted" });
  const lines = leavesOf(pristine, { kind: LEAF.taskLogs, words: "asking unit" });
  const [records] = leavesOf(pristine, { kind: LEAF.events, words: "disk7" });
  assert.ok(events.length > 7 && lines.length > 7 && records !== undefined);
  const swaps: readonly [to: number, from: number][] = [
    [events[5]!, events[3]!],
    [events[3]!, events[5]!],
    [events[5]!, lines[2]!],
    [events[5]!, records],
    [lines[5]!, lines[3]!],
    [lines[5]!, events[3]!],
  ];
  for (const [to, from] of swaps) {
    folder.renew(pristine);
    const { catalog, keeper } = await started(folder);
    overwrite(folder, { to, bytes: pageOf(pristine, from) });
    assert.equal((await keeper.check()).isSound, false);
    const view = await keeper.repair();
    assert.deepEqual(view.findings, [], `page ${to} with ${from}`);
    assert.equal(view.setAside.at(-1)?.path, `${folder.path}/${FILE}`);
    const kept = await historyOf(catalog);
    // There are more than ten pages of each, of which two are not right.
    assert.ok(kept.length > WRITTEN.size * 0.8, `${kept.length} are kept`);
    assert.ok(kept.length < WRITTEN.size);
    await catalog.close();
    assert.deepEqual(folder.names(), [FILE, "catalog-2.sqlite"]);
  }
});

Deno.test("a repair says how many records of the history it left out", async () => {
  const { folder } = await withHistory();
  using _ = folder;
  const { catalog, keeper } = await started(folder);
  {
    using other = folder.io.open(FILE);
    other.exec("UPDATE events SET atMs = atMs + 1 WHERE number IN (3, 7, 8)");
    // Of before there were checksums; what has none has its shape only.
    other.exec("UPDATE events SET sum = NULL WHERE number = 9");
    other.exec("UPDATE events SET sum = NULL, severity = 'some' WHERE number = 10");
  }
  const { findings } = await keeper.check();
  assert.ok(findings.includes("events 7: its checksum is wrong"), findings.join("\n"));
  assert.match(findings.join("\n"), /events 10: severity: /);
  const { setAside: [aside] } = await keeper.repair();
  assert.deepEqual(aside?.lost, ["events: 4 records that had been damaged"]);
  const kept = new Set(await historyOf(catalog));
  const left = [...WRITTEN.keys()].filter((name) => !kept.has(name));
  assert.deepEqual(left, [3, 7, 8, 10].map((number) => `events ${number}`));
  await catalog.close();
});

for (const [name, isRunning] of [["repaired", true], ["started", false]] as const) {
  Deno.test(`a catalog of which pages are other ones of it can always be ${name}`, async () => {
    const { folder, pristine } = await withHistory();
    using _ = folder;
    const pages = pristine.length / PAGE_BYTES;
    let noticed = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      folder.renew(pristine);
      const next = seeded(seed);
      const running = isRunning ? await started(folder) : null;
      for (let count = Math.ceil(next() * 4); count > 0; count--) {
        const [to, from] = [Math.floor(next() * pages), Math.floor(next() * pages)];
        overwrite(folder, { to, bytes: pageOf(pristine, from) });
      }
      if (running !== null) {
        const { catalog, keeper } = running;
        const before = catalog.everything().length;
        if (!(await keeper.check()).isSound) noticed++;
        assert.deepEqual((await keeper.repair()).findings, [], `seed ${seed}`);
        await historyOf(catalog);
        assert.equal(folder.check(catalog), folder.rows.size);
        assert.equal(catalog.everything().length, before);
        await catalog.close();
      }
      const { catalog, keeper, problems, setAside } = await started(folder);
      folder.check(catalog);
      if (running !== null) assert.deepEqual(problems, [], `seed ${seed}`);
      else if (setAside.length > 0) noticed++;
      assert.deepEqual((await keeper.repair()).findings, [], `seed ${seed}`);
      await historyOf(catalog);
      await catalog.close();
      const again = await started(folder);
      assert.deepEqual([again.problems, (await again.keeper.check()).findings], [[], []]);
      await again.catalog.close();
    }
    assert.ok(noticed > SEEDS / 2, `only ${noticed} were noticed`);
  });
}

Deno.test("starts that cannot name the new catalog leave nothing, and do not keep later ones back", async () => {
  using folder = new Damaged();
  await folder.fill();
  folder.damage((bytes) => bytes.fill(0, 8192, 16384));
  let isFull = true;
  const files = fullPointer(folder, () => isFull);
  for (let start = 1; start <= 10; start++) {
    await assert.rejects(started(folder, files), /no space for the name/);
    assert.deepEqual(folder.names(), [FILE], `start ${start}`);
  }
  isFull = false;
  const { catalog, fileName } = await started(folder, files);
  assert.equal(fileName, "catalog-2.sqlite");
  assert.ok(folder.check(catalog) > 0);
  await catalog.close();
});

Deno.test("files that tries left which were cut are in nobody's way, and stay as they are", async () => {
  using folder = new Damaged();
  await folder.fill();
  const pristine = Deno.readFileSync(`${folder.path}/${FILE}`);
  const left = new Map<string, Uint8Array>();
  // Whole, damaged, no database at all; and a log of which the file is gone.
  for (let number = 2; number <= 12; number++) {
    const bytes = number % 3 === 0
      ? pristine
      : number % 3 === 1
      ? pristine.slice().fill(0, 8192, 16384)
      : new Uint8Array(9000).fill(7);
    left.set(`catalog-${number}.sqlite`, bytes);
  }
  // It looks as if it had no table.
  const hidden = pristine.slice();
  hidden.set([0x0d, 0, 0, 0, 0, PAGE_BYTES >> 8, 0, 0], 100);
  left.set("catalog-2.sqlite", hidden);
  left.set("catalog-13.sqlite-wal", new Uint8Array(5000).fill(1));
  for (const [name, bytes] of left) Deno.writeFileSync(`${folder.path}/${name}`, bytes);
  folder.damage((bytes) => bytes.fill(0, 8192, 16384));
  const { catalog, keeper, fileName } = await started(folder);
  assert.equal(fileName, "catalog-14.sqlite");
  await catalog.database.insertInto("meta").values({ key: "x", value: "y" }).execute();
  assert.match((await keeper.repair()).file, /catalog-15.sqlite$/);
  await catalog.close();
  for (const [name, bytes] of left) {
    assert.deepEqual(Deno.readFileSync(`${folder.path}/${name}`), bytes, name);
  }
});

Deno.test("a repair that cannot name its file leaves nothing, and the next one can", async () => {
  const { folder } = await withHistory();
  using _ = folder;
  let isFull = false;
  const files = fullPointer(folder, () => isFull);
  const { catalog, keeper } = await started(folder, files);
  await catalog.database.deleteFrom("grants").where("counter", "=", 7).execute();
  isFull = true;
  for (let turn = 1; turn <= 10; turn++) {
    await assert.rejects(keeper.repair(), /no space for the name/);
    assert.deepEqual(folder.names().filter((name) => !name.startsWith(FILE)), []);
  }
  isFull = false;
  const [one, other] = await Promise.all([keeper.repair(), keeper.repair()]);
  assert.deepEqual([one.isSound, one.file], [true, `${folder.path}/catalog-2.sqlite`]);
  assert.deepEqual(other, one);
  await catalog.close();
});

Deno.test("a repair for which there is no room says so in plain words, and leaves nothing", async () => {
  const { folder } = await withHistory();
  using _ = folder;
  const opened = await folder.open();
  const { files } = folder.io;
  const made: DatabaseSync[] = [];
  const open = (name: string) => {
    const raw = folder.io.open(name);
    raw.prepare("PRAGMA max_page_count = 40").get();
    made.push(raw);
    return raw;
  };
  const keeper = new CatalogKeeper(opened, { files, open });
  await opened.catalog.database.deleteFrom("grants").where("counter", "=", 7).execute();
  await assert.rejects(
    keeper.repair(),
    /could not be written anew to .*catalog-2.sqlite: the file system is full .*catalog-1.sqlite/,
  );
  assert.deepEqual(folder.names().filter((name) => !name.startsWith(FILE)), []);
  assert.deepEqual(made.map(({ isOpen }) => isOpen), [false]);
  assert.match((await keeper.check()).file, /catalog-1.sqlite$/);
  await opened.catalog.close();
});
