import assert from "node:assert/strict";
import { silentLog } from "../../protocol/core/log.ts";
import { USED_WIPES_FILE } from "../process/settings.ts";
import { memoryFiles } from "./memory_files_testing.ts";
import { UsedWipes } from "./used_wipes.ts";

const log = silentLog();

Deno.test("--wipe holds once for its path, over restarts, and again after a start without it", () => {
  const files = memoryFiles();
  const start = (...wipes: string[]) => {
    const devices = ["/a", "/b"].map((path) => ({ path, wipe: wipes.includes(path) }));
    const used = new UsedWipes(files, { devices, log });
    return { used, words: devices.map((device) => used.of(device)) };
  };
  const first = start("/a", "/b");
  assert.deepEqual(first.words, ["yes", "yes"]);
  first.used.taken(["/a", "/c"]);
  assert.deepEqual(start("/a", "/b").words, ["used", "yes"], "the other device was not taken");
  assert.deepEqual(start("/b").words, ["no", "yes"]);
  assert.deepEqual(start("/a").words, ["yes", "no"]);
  for (const path of ["/a", "/b"]) start("/a", "/b").used.taken([path]);
  assert.deepEqual(start("/a", "/b").words, ["used", "used"]);
});

Deno.test("with a damaged list no --wipe holds before a start without it", () => {
  const files = memoryFiles();
  files.write(USED_WIPES_FILE, new TextEncoder().encode('["/a'));
  const start = (wipe: boolean) => {
    const devices = [{ path: "/a", wipe }];
    return new UsedWipes(files, { devices, log }).of(devices[0]!);
  };
  assert.deepEqual([start(true), start(true)], ["used", "used"]);
  assert.deepEqual([start(false), start(true)], ["no", "yes"]);
});
