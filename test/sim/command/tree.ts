import { createHash } from "node:crypto";

const ROOT = new URL("../../..", import.meta.url).pathname;
const SEEDS = 40;
const PARTS = ["main.ts", "deno.json", "protocol", "storage", "roles", "web", "test"];

/**
 * The seeds that belong to this tree: the same tree always runs the same ones, so what landed
 * runs in the next place as it ran before landing, and no landing fails by chance.
 */
export function seedsOfTree(): { readonly from: number; readonly to: number } {
  const hash = hashOfFiles();
  const from = 1_000_000 + parseInt(hash.slice(0, 8), 16) % 1_000_000_000;
  return { from, to: from + SEEDS - 1 };
}

/** Without git, which is not everywhere, and would count what no run depends on. */
function hashOfFiles(): string {
  const hash = createHash("sha256");
  const add = (path: string) => {
    const info = Deno.statSync(`${ROOT}/${path}`);
    if (!info.isDirectory) {
      hash.update(`${path}\n`).update(Deno.readFileSync(`${ROOT}/${path}`));
      return;
    }
    const names = [...Deno.readDirSync(`${ROOT}/${path}`)].map(({ name }) => name).sort();
    for (const name of names) add(`${path}/${name}`);
  };
  for (const part of PARTS) add(part);
  return hash.digest("hex");
}
