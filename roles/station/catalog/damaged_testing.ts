import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Catalog, Change } from "./catalog.ts";
import { POINTER } from "./files.ts";
import { openCatalog, type OpenedCatalog } from "./open.ts";
import { recoveredReasons } from "./recovered.ts";
import type { DiskRow, GrantRow, TombstoneRow, VolumeRow } from "./rows.ts";

export const OPTIONS = { clusterId: "11111111-1111-4111-8111-111111111111", isNew: false };
export const FILE = "catalog-1.sqlite";
export const DISKS = 60;

/** A folder with a catalog of many records, whole. */
export class Damaged implements Disposable {
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

  /** Its state directory, of which only databases are files. */
  get io() {
    const path = (name: string) => `${this.path}/${name}`;
    const files = {
      read: (name: string) => {
        return this.names().includes(name)
          ? Deno.readFileSync(path(name))
          : this.files.get(name) ?? null;
      },
      write: (name: string, bytes: Uint8Array) => void this.files.set(name, bytes),
      remove: (name: string) => {
        if (this.names().includes(name)) Deno.removeSync(path(name));
        else this.files.delete(name);
      },
      path,
    };
    return { files, open: (name: string) => new DatabaseSync(path(name)) };
  }

  /** Its databases, and what SQLite has beside them. */
  names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  open(options = OPTIONS): Promise<OpenedCatalog> {
    return openCatalog(this.io.files, this.io.open, options);
  }

  /** With that catalog and nothing else. */
  renew(catalog: Uint8Array): void {
    for (const name of this.names()) Deno.removeSync(`${this.path}/${name}`);
    this.files.clear();
    this.files.set(POINTER, new TextEncoder().encode(`${FILE}\n`));
    Deno.writeFileSync(`${this.path}/${FILE}`, catalog);
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

/** A change of every table, which a catalog that is taken for sound has to take. */
export function oneOfEach(): Change[] {
  const node = records()[0]!;
  assert.ok(node.table === "nodes" && "put" in node);
  const times = { createdMs: 1, startedMs: 2, endedMs: 3 };
  return [
    { table: "meta", put: { key: "note", value: "x" } },
    { table: "nodes", put: { ...node.put, id: "host", name: "h1", role: "host" } },
    { table: "nodes", put: { ...node.put, id: "two", name: "u2", admission: "pending" } },
    { table: "nodes", put: { ...node.put, id: "three", name: "u3", admission: "revoked" } },
    ...recordsOf(DISKS),
    { table: "grants", put: { ...revokedGrant(), tokenHash: null, addressesJson: null } },
    { table: "tombstones", put: tombstone() },
    {
      table: "tasks",
      put: {
        ...{ id: "t1", number: 1, kind: "grow", title: "Grow", state: "failed", owner: "ann" },
        ...{ paramsJson: "{}", locksJson: "[]", progress: 0.5, step: "", ...times },
        ...{ hostId: null, errorJson: null },
      },
    },
    { table: "observed", put: { unitId: "unit", atMs: 5, info: new Uint8Array([1]) } },
    { table: "taskLogs", append: { taskId: "t1", line: 1, atMs: 5, text: "x" } },
    {
      table: "events",
      append: { number: 1, atMs: 5, kind: "k", severity: "info", subject: "s", text: "t" },
    },
  ];
}

function revokedGrant(): GrantRow {
  return {
    ...{ volumeId: "v".padEnd(36, "y"), epoch: 7, counter: 1, state: "revoked" },
    ...{ grantedBytes: 0, tokenHash: null, addressesJson: null },
  };
}

function tombstone(): TombstoneRow {
  return {
    ...{ volumeId: "v".padEnd(36, "z"), unitId: "unit", diskId: "d".padEnd(36, "z") },
    ...{ epoch: 7, counter: 1, knownEpoch: 0, knownCounter: 0, done: 0 },
    ...{ reason: "released", createdMs: 5 },
  };
}
