/** Real files that SQLite made; taken before Deno is banned. */
const { readDirSync, readFileSync, removeSync, writeFileSync } = Deno;

/** The files of a directory, by name. */
export function readReal(directory: string): Map<string, Uint8Array> {
  const names = [...readDirSync(directory)].map(({ name }) => name).sort();
  return new Map(names.map((name) => [name, readFileSync(`${directory}/${name}`)]));
}

/** The directory holds these files and no others. */
export function writeReal(directory: string, files: ReadonlyMap<string, Uint8Array>): void {
  for (const { name } of readDirSync(directory)) removeSync(`${directory}/${name}`);
  for (const [name, bytes] of files) writeFileSync(`${directory}/${name}`, bytes);
}
