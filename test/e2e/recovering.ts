import { waitFor } from "../wait.ts";
import type { Cluster } from "./cluster.ts";

/** As an operator who reads the list and then confirms it. */
export async function confirm(cluster: Cluster): Promise<void> {
  await waitFor("the list to be confirmed", async () => {
    const shown = await cluster.mustCtl("recover");
    const list = /--confirm ([0-9a-f]+)$/m.exec(shown)?.[1];
    if (list === undefined) return true;
    const { code } = await cluster.ctl("recover", "--confirm", list);
    return code === 0;
  });
}

/** As it lies there, also under a station that runs. */
export function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name, isFile } of Deno.readDirSync(from)) {
    if (isFile) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}
