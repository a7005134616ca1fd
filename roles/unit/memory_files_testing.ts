import type { StateFiles } from "../process/context.ts";

/** A state directory in memory. */
export function memoryFiles(): StateFiles & { content: Map<string, Uint8Array>; writes: number } {
  const content = new Map<string, Uint8Array>();
  const files = {
    content,
    writes: 0,
    directory: "/state",
    path: (name: string) => `/state/${name}`,
    read: (name: string) => content.get(name) ?? null,
    write: (name: string, bytes: Uint8Array) => {
      files.writes++;
      content.set(name, bytes);
    },
    remove: (name: string) => void content.delete(name),
    close: () => {},
  };
  return files;
}
