import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { createLog, silentLog } from "../../protocol/core/log.ts";
import { MediumDevices } from "./medium_devices.ts";
import { memoryFiles } from "./memory_files_testing.ts";

const MEDIUM = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";

Deno.test("MediumDevices keeps the last device of each medium, also of one that is away", () => {
  const files = memoryFiles();
  const devices = new MediumDevices(files, silentLog());
  devices.keep({ [MEDIUM]: { path: "/dev/sdb", identity: "wwid 1" } });
  devices.keep({ [OTHER]: { path: "/dev/vda", identity: null } });
  devices.keep({ [OTHER]: { path: "/dev/vda", identity: null } });
  assert.equal(files.writes, 2);
  assert.deepEqual(new MediumDevices(files, silentLog()).known, {
    [MEDIUM]: { path: "/dev/sdb", identity: "wwid 1" },
    [OTHER]: { path: "/dev/vda", identity: null },
  });
});

Deno.test("MediumDevices forgets a damaged file and says so", () => {
  for (const text of ["", "[]", '{"x":{}}', `{"${MEDIUM}":{"path":1,"identity":null}}`]) {
    const files = memoryFiles();
    files.write("medium-devices.json", utf8(text));
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line.message));
    assert.deepEqual(new MediumDevices(files, log).known, {}, text);
    assert.equal(lines.length, 1, text);
  }
});
