import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { waitFor } from "../wait.ts";
import { agree, mustAgree, type Places, placesOf } from "./agreement.ts";
import type { Cluster } from "./cluster.ts";
import { scenario } from "./scenario.ts";

const MIB = 2 ** 20;
const MEDIUM_MIB = 16;
const CATALOG = "copy.sqlite";

/** What is planted in a copy of one of the three, and by which words the check tells of it. */
interface Plant {
  readonly name: string;
  readonly plant: (copy: Copy) => void;
  readonly told: RegExp;
}

const PLANTS: readonly Plant[] = [
  {
    name: "a row is gone from the catalog",
    plant: ({ places }) => change(places, "DELETE FROM volumes WHERE leg = 0"),
    told: /the station says its catalog/,
  },
  {
    name: "the catalog has another generation",
    plant: ({ places }) => change(places, "UPDATE grants SET counter = counter + 1"),
    told: /the station says its catalog/,
  },
  {
    name: "the catalog has another number of a volume",
    plant: ({ places }) => change(places, "UPDATE volumes SET number = number + 1"),
    told: /hosts and catalog agree/,
  },
  {
    name: "the catalog has another map",
    plant: ({ places }) => change(places, "UPDATE disks SET version = version + 1"),
    told: /holds the catalog's map/,
  },
  {
    name: "the catalog is of an earlier epoch",
    plant: ({ places }) => change(places, "UPDATE meta SET value = '0' WHERE key = 'epoch'"),
    told: /epoch \d+, catalog 0/,
  },
  {
    name: "the catalog knows another key of the host",
    plant: ({ places }) => change(places, "UPDATE nodes SET publicKey = zeroblob(32)"),
    told: /the host's key/,
  },
  {
    name: "the host lacks a disk",
    plant: ({ places }) => changeBook(places, (disks) => disks.pop()),
    told: /hosts and catalog agree/,
  },
  {
    name: "the host was assigned another generation",
    plant: ({ places }) =>
      changeBook(places, ([disk]) => disk!.assignment.legs[0]!.generation.counter++),
    told: /hosts and catalog agree/,
  },
  {
    name: "a label is of before the last disk",
    plant: ({ places, before }) => Deno.writeFileSync(mediumOf(places), before),
    told: /labels and catalog agree/,
  },
  {
    name: "one copy of a label is of before",
    plant: ({ places, before }) => {
      using file = Deno.openSync(mediumOf(places), { write: true });
      file.writeSync(before.subarray(0, MIB));
    },
    told: /the copies are the same/,
  },
  {
    name: "a bit of a label is another",
    plant: ({ places }) => {
      const bytes = Deno.readFileSync(mediumOf(places));
      bytes[100]! ^= 1;
      Deno.writeFileSync(mediumOf(places), bytes);
    },
    told: /sector 0: its checksum/,
  },
];

/** Of all that is compared. */
interface Copy {
  readonly places: Places;
  /** The medium as it was before the last disk was made. */
  readonly before: Uint8Array;
}

scenario({
  name: "catalog, book and labels that differ are told apart by the three-way check",
  async run({ cluster, step }) {
    await Promise.all([cluster.unit("u1", [MEDIUM_MIB]), cluster.host("h1")]);
    await cluster.createDisk("h1", "first", "2M");
    await agree(cluster);
    const before = Deno.readFileSync(mediumOf(await wholeCopy(cluster)));
    await cluster.createDisk("h1", "second", "2M");
    await agree(cluster);
    const whole = await wholeCopy(cluster);
    for (const { name, plant, told } of PLANTS) {
      await step(name, async () => {
        const places = placesIn(Deno.makeTempDirSync({ dir: cluster.lab.directory }));
        copyPlaces(whole, places);
        // Members may seem to be away for a moment, on a machine that stands still.
        await waitFor("the copy to agree", () => mustAgree(cluster, places).then(() => true));
        plant({ places, before });
        await waitFor("the check to tell of it", async () => {
          await assert.rejects(mustAgree(cluster, places), told);
          return true;
        });
        Deno.removeSync(places.station, { recursive: true });
      });
    }
  },
});

/** Of what the members have; taken again when one of them was just writing. */
async function wholeCopy(cluster: Cluster): Promise<Places> {
  return await waitFor("a copy that agrees", async () => {
    const copy = placesIn(Deno.makeTempDirSync({ dir: cluster.lab.directory }));
    copyPlaces(placesOf(cluster), copy);
    await mustAgree(cluster, copy);
    return copy;
  });
}

function placesIn(folder: string): Places {
  const media = new Map([["u1", [`${folder}/medium.img`]]]);
  return { station: folder, host: () => folder, media };
}

/** The catalog, the host's book and the medium. */
function copyPlaces(from: Places, to: Places): void {
  const current = Deno.readTextFileSync(`${from.station}/catalog.current`).trim();
  using catalog = opened(`${from.station}/${current}`, { readOnly: true });
  catalog.raw.exec(`VACUUM INTO '${to.station}/${CATALOG}'`);
  Deno.writeTextFileSync(`${to.station}/catalog.current`, CATALOG);
  Deno.copyFileSync(`${from.host("h1")}/disks.json`, `${to.host("h1")}/disks.json`);
  Deno.copyFileSync(mediumOf(from), mediumOf(to));
}

function opened(
  path: string,
  options: { readonly readOnly: boolean },
): Disposable & { readonly raw: DatabaseSync } {
  const raw = new DatabaseSync(path, options);
  return { raw, [Symbol.dispose]: () => raw.close() };
}

function mediumOf({ media }: Places): string {
  return media.get("u1")![0]!;
}

function change({ station }: Places, statement: string): void {
  using catalog = opened(`${station}/${CATALOG}`, { readOnly: false });
  catalog.raw.exec(statement);
}

interface Book {
  readonly disks: {
    readonly assignment: { readonly legs: readonly { readonly generation: { counter: number } }[] };
  }[];
}

function changeBook({ host }: Places, how: (disks: Book["disks"]) => void): void {
  const path = `${host("h1")}/disks.json`;
  const book = JSON.parse(Deno.readTextFileSync(path)) as Book;
  how(book.disks);
  Deno.writeTextFileSync(path, JSON.stringify(book));
}
