import { DatabaseSync } from "node:sqlite";

/** A leg as the catalog's file has it: what the station wants, not what it says. */
export interface CatalogLeg {
  readonly diskId: string;
  readonly disk: string;
  readonly mapVersion: number;
  readonly host: string;
  readonly hostId: string;
  readonly hostKey: string;
  readonly leg: number;
  readonly unit: string;
  readonly unitId: string;
  readonly volumeId: string;
  readonly number: number;
  readonly startLba: number;
  readonly sizeBytes: number;
  readonly epoch: number;
  readonly counter: number;
}

export interface ReadCatalog {
  readonly epoch: number;
  readonly legs: readonly CatalogLeg[];
}

const LEGS = `
  SELECT d.id AS diskId, d.name AS disk, d.version AS mapVersion, h.name AS host, h.id AS hostId,
    lower(hex(h.publicKey)) AS hostKey, v.leg AS leg, u.name AS unit, u.id AS unitId,
    v.id AS volumeId, v.number AS number, v.startLba AS startLba, v.publishedBytes AS sizeBytes,
    g.epoch AS epoch, g.counter AS counter
  FROM volumes v JOIN disks d ON d.id = v.diskId JOIN nodes h ON h.id = d.hostId
    JOIN nodes u ON u.id = v.unitId
    LEFT JOIN grants g ON g.volumeId = v.id AND g.state = 'active'`;

/** The catalog in a station's state directory, also while that station runs: SQLite alone reads. */
export function readCatalog(folder: string): ReadCatalog {
  const name = Deno.readTextFileSync(`${folder}/catalog.current`).trim();
  using database = opened(`${folder}/${name}`);
  const legs = database.raw.prepare(LEGS).all() as unknown as CatalogLeg[];
  const epoch = database.raw.prepare("SELECT value FROM meta WHERE key = 'epoch'").get();
  return { epoch: Number(epoch?.["value"]), legs: legs.map((leg) => ({ ...leg })) };
}

function opened(path: string): Disposable & { readonly raw: DatabaseSync } {
  const raw = new DatabaseSync(path, { readOnly: true });
  return { raw, [Symbol.dispose]: () => raw.close() };
}

/** A disk of a host's book (disks.json), as it lies on the host's own disk. */
export interface BookDisk {
  readonly diskId: string;
  readonly name: string;
  readonly version: number;
  readonly legs: readonly {
    readonly leg: number;
    readonly unitId: string;
    readonly unitName: string;
    readonly volumeId: string;
    readonly volumeNumber: number;
    readonly sizeBytes: number;
    readonly startLba: number;
    readonly endLba: number;
    readonly generation: { readonly epoch: number; readonly counter: number };
  }[];
}

/** What the host in this state directory was assigned; nothing when it never was. */
export function readBook(folder: string): readonly BookDisk[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${folder}/disks.json`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const { disks } = JSON.parse(text) as { disks: { assignment: BookDisk }[] };
  return disks.map(({ assignment }) => assignment);
}
