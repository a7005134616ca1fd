import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { openCatalog } from "./open.ts";
import { recoveredReasons } from "./recovered.ts";

const OPTIONS = { clusterId: "11111111-1111-4111-8111-111111111111", isNew: false };

/** A state directory in a temporary folder that is gone at the end. */
async function inFolder(run: (folder: Folder) => Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync();
  try {
    await run(new Folder(path));
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

class Folder {
  readonly files = new Map<string, Uint8Array>();

  constructor(readonly folder: string) {}

  read(name: string): Uint8Array | null {
    const isDatabase = [...Deno.readDirSync(this.folder)].some((one) => one.name === name);
    return isDatabase ? Deno.readFileSync(this.path(name)) : this.files.get(name) ?? null;
  }
  write(name: string, bytes: Uint8Array): void {
    if (name.includes(".sqlite")) Deno.writeFileSync(this.path(name), bytes);
    else this.files.set(name, bytes);
  }
  remove(name: string): void {
    const isDatabase = [...Deno.readDirSync(this.folder)].some((one) => one.name === name);
    if (isDatabase) Deno.removeSync(this.path(name));
    else this.files.delete(name);
  }
  path(name: string): string {
    return `${this.folder}/${name}`;
  }
  open({ isNew } = OPTIONS as Pick<typeof OPTIONS, "isNew">) {
    return openCatalog(this, (name) => {
      const database = new DatabaseSync(this.path(name));
      database.exec("PRAGMA busy_timeout = 1");
      return database;
    }, { ...OPTIONS, isNew });
  }
  /** A catalog with one record. */
  async withRecord(): Promise<void> {
    const { catalog } = await this.open();
    await catalog.commit([{ table: "meta", put: { key: "kept", value: "1" } }]);
    await catalog.close();
  }
}

Deno.test("openCatalog() does not set a catalog aside that another process has locked", async () => {
  await inFolder(async (folder) => {
    await folder.withRecord();
    const other = new DatabaseSync(folder.path("catalog-1.sqlite"));
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    await assert.rejects(folder.open(), (error) => {
      return error instanceof DvsanError && /another process is using it/.test(error.message);
    });
    other.close();
    const { catalog, setAside } = await folder.open();
    assert.deepEqual(setAside, []);
    assert.equal(catalog.meta.get("kept")?.value, "1");
    await catalog.close();
  });
});

Deno.test("openCatalog() does not set a catalog aside for a full disk", async () => {
  await inFolder(async (folder) => {
    await folder.withRecord();
    const full = () => {
      throw new Error("database or disk is full");
    };
    await assert.rejects(openCatalog(folder, full, OPTIONS), /file system is full/);
    const { catalog, setAside } = await folder.open();
    assert.deepEqual(setAside, []);
    assert.equal(catalog.meta.get("kept")?.value, "1");
    await catalog.close();
  });
});

Deno.test("openCatalog() leaves a newer version's catalog alone", async () => {
  await inFolder(async (folder) => {
    await folder.withRecord();
    const raw = new DatabaseSync(folder.path("catalog-1.sqlite"));
    raw.exec("INSERT INTO kysely_migration VALUES ('9999_later', '2030-01-01')");
    raw.close();
    await assert.rejects(folder.open(), /a newer dvsan wrote it \(9999_later\)/);
    assert.equal([...Deno.readDirSync(folder.folder)].length, 1);
  });
});

Deno.test("openCatalog() starts beside a damaged catalog and says why", async () => {
  for (const damage of DAMAGES) {
    await inFolder(async (folder) => {
      await folder.withRecord();
      const path = folder.path("catalog-1.sqlite");
      Deno.writeFileSync(path, damage.bytes(Deno.readFileSync(path)));
      const { catalog, setAside, fileName } = await folder.open();
      assert.equal(setAside[0]?.path, path, damage.name);
      assert.equal(fileName, "catalog-2.sqlite");
      await catalog.close();
    });
  }
});

Deno.test("openCatalog() takes the newest catalog when the name of the one in use is lost", async () => {
  for (const left of [null, "catalog-1.sqlit", "\0\0\0"]) {
    await inFolder(async (folder) => {
      await folder.withRecord();
      // As after a repair: the first one is whole, and old.
      Deno.copyFileSync(folder.path("catalog-1.sqlite"), folder.path("catalog-3.sqlite"));
      const newer = await openCatalog(folder, () => {
        return new DatabaseSync(folder.path("catalog-3.sqlite"));
      }, OPTIONS);
      await newer.catalog.commit([{ table: "meta", put: { key: "later", value: "1" } }]);
      await newer.catalog.close();
      folder.files.clear();
      if (left !== null) folder.write("catalog.current", new TextEncoder().encode(left));
      const { catalog, fileName, problems } = await folder.open();
      assert.equal(fileName, "catalog-3.sqlite");
      assert.equal(catalog.meta.get("later")?.value, "1");
      assert.match(problems.join(), /catalog.current, which names the catalog, was not right/);
      await catalog.close();
      const again = await folder.open();
      assert.deepEqual([again.fileName, again.problems], ["catalog-3.sqlite", []]);
      await again.catalog.close();
    });
  }
});

Deno.test("openCatalog() takes the catalog that is there when another one is named", async () => {
  await inFolder(async (folder) => {
    await folder.withRecord();
    folder.write("catalog.current", new TextEncoder().encode("catalog-3.sqlite\n"));
    const { catalog, fileName, problems } = await folder.open();
    assert.equal(fileName, "catalog-1.sqlite");
    assert.match(problems.join(), /catalog.current, which names the catalog, was not right/);
    await catalog.close();
    const again = await folder.open();
    assert.deepEqual([again.fileName, again.problems], ["catalog-1.sqlite", []]);
    await again.catalog.close();
  });
});

Deno.test("openCatalog() says which catalog is missing also where the one that is there is of no use", async () => {
  await inFolder(async (folder) => {
    await folder.withRecord();
    const path = folder.path("catalog-1.sqlite");
    Deno.writeFileSync(path, Deno.readFileSync(path).fill(7));
    folder.write("catalog.current", new TextEncoder().encode("catalog-3.sqlite\n"));
    const { catalog, fileName, problems } = await folder.open();
    assert.equal(fileName, "catalog-2.sqlite");
    assert.match(problems[0]!, /catalog-3.sqlite was missing/);
    assert.match(problems[1]!, /catalog-1.sqlite could not be used/);
    await catalog.close();
  });
});

Deno.test("a full disk refuses a change in clear words, and takes the next one", async () => {
  await inFolder(async (folder) => {
    let raw: DatabaseSync | null = null;
    const { catalog } = await openCatalog(
      folder,
      (name) => raw = new DatabaseSync(folder.path(name)),
      OPTIONS,
    );
    const database = raw! as DatabaseSync;
    const put = (key: string, value: string) =>
      catalog.commit([{ table: "meta", put: { key, value } }]);
    const { page_count } = database.prepare("PRAGMA page_count").get() as { page_count: number };
    database.prepare(`PRAGMA max_page_count = ${page_count}`).get();
    await assert.rejects(put("big", "x".repeat(100_000)), (error) => {
      return error instanceof DvsanError && error.code === "io" &&
        /file system is full.*Nothing was changed/.test(error.message);
    });
    assert.equal(catalog.meta.has("big"), false);
    database.prepare("PRAGMA max_page_count = 1000000").get();
    await put("big", "x".repeat(100_000));
    await catalog.close();
  });
});

Deno.test("openCatalog() takes what a write-ahead log has whose file is gone or empty", async () => {
  for (const has of ["all of it", "what came after a checkpoint"]) {
    for (const left of [null, new Uint8Array()]) {
      await inFolder(async (folder) => {
        const { catalog: before } = await folder.open({ isNew: true });
        const put = (key: string) => before.commit([{ table: "meta", put: { key, value: "1" } }]);
        await put("early");
        if (has !== "all of it") {
          const other = new DatabaseSync(folder.path("catalog-1.sqlite"));
          other.exec("PRAGMA wal_checkpoint(RESTART)");
          other.close();
        }
        await put("late");
        const log = Deno.readFileSync(folder.path("catalog-1.sqlite-wal"));
        await before.close();
        Deno.removeSync(folder.path("catalog-1.sqlite"));
        Deno.writeFileSync(folder.path("catalog-1.sqlite-wal"), log);
        if (left !== null) folder.write("catalog-1.sqlite", left);
        const { catalog, fileName, setAside: [aside], problems } = await folder.open();
        assert.equal(catalog.meta.get("early")?.value, "1", has);
        assert.equal(aside?.path, folder.path("catalog-1.sqlite"));
        assert.match(problems.join(), /it is (gone|empty), and its write-ahead log is not/);
        assert.deepEqual(recoveredReasons(catalog), problems);
        await catalog.close();
        const kept = Deno.readFileSync(folder.path("catalog-1.sqlite-wal"));
        assert.deepEqual(kept, log, "it is left as it was");
        const again = await folder.open();
        assert.deepEqual([again.fileName, again.setAside], [fileName, []]);
        await again.catalog.close();
      });
    }
  }
});

Deno.test("a start that is cut behind the opening leaves its reasons to the next one", async () => {
  const losses: readonly ((folder: Folder) => void)[] = [
    (folder) => Deno.truncateSync(folder.path("catalog-1.sqlite"), 8192),
    (folder) => Deno.removeSync(folder.path("catalog-1.sqlite")),
    (folder) => folder.files.clear(),
  ];
  for (const lose of losses) {
    await inFolder(async (folder) => {
      const { catalog: whole } = await folder.open({ isNew: true });
      const node = { key: "kept", value: "1" };
      await whole.commit([{ table: "meta", put: node }]);
      assert.equal(recoveredReasons(whole), null);
      await whole.close();
      Deno.copyFileSync(folder.path("catalog-1.sqlite"), folder.path("catalog-2.sqlite"));
      lose(folder);
      const { catalog: cut, problems } = await folder.open();
      assert.equal(problems.length, 1);
      await cut.close();
      const { catalog } = await folder.open();
      assert.deepEqual(recoveredReasons(catalog), problems);
      await catalog.close();
    });
  }
});

const DAMAGES: readonly {
  readonly name: string;
  readonly bytes: (whole: Uint8Array) => Uint8Array;
}[] = [
  { name: "garbage", bytes: (whole) => whole.fill(7) },
  { name: "cut in the middle of a page", bytes: (whole) => whole.subarray(0, 5000) },
  { name: "cut to a few pages", bytes: (whole) => whole.subarray(0, 8192) },
  { name: "a page of zeroes", bytes: (whole) => whole.fill(0, 8192, 12288) },
  { name: "a damaged schema", bytes: (whole) => whole.fill(0x20, 200, 4096) },
];
