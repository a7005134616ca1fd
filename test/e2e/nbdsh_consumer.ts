import { waitFor } from "../wait.ts";
import type { Lab } from "./lab.ts";
import type { Program } from "./program.ts";

/** nbdsh needs the Python that Debian's module was made for. */
const SYSTEM_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
/** How long qemu's block layer waits for a machine that boots under emulation. */
const RECONNECT_S = 600;

/**
 * qemu's block layer between its users and an export: it connects anew by itself, and they see one
 * connection that lives. `server` is what qemu is told of it; the URI for its users.
 */
export async function startQemu(
  { lab, machine, name }: { lab: Lab; machine: string; name: string },
  server: Readonly<Record<string, string>>,
): Promise<{ readonly proxy: Program; readonly uri: string }> {
  const socket = `${lab.directory}/${name}.sock`;
  const image = Object.entries({ ...server, "reconnect-delay": `${RECONNECT_S}` });
  const options = ["driver=raw", "file.driver=nbd"];
  options.push(...image.map(([key, value]) => `file.${key}=${value}`));
  const proxy = await lab.spawn(machine, [
    ...["qemu-nbd", "--socket", socket, "--cache=writeback", "--persistent", "--image-opts"],
    options.join(),
  ]);
  return { proxy, uri: `nbd+unix:///?socket=${socket}` };
}

/** Writes, flushes and writes again, and says so; then it waits until the file `go` is there. */
export async function startNbdsh(
  { lab, machine, proxy }: { lab: Lab; machine: string; proxy: Program },
  options: ScriptOptions,
): Promise<Program> {
  const user = await lab.spawn(machine, ["env", SYSTEM_PATH, "nbdsh", "-c", script(options)]);
  await waitFor("a consumer to have written", () => {
    if (user.log.length > 0) throw new Error([...user.log, ...proxy.log].join("\n"));
    return user.lines.length > 0;
  });
  return user;
}

export interface ScriptOptions {
  readonly uri: string;
  /** A file; when it is there, the unit is back. */
  readonly go: string;
  /** Or its connection is one that lives. */
  readonly connectsAnew: boolean;
}

function script({ uri, go, connectsAnew }: ScriptOptions): string {
  const again = connectsAnew ? `h = nbd.NBD(); h.connect_uri("${uri}")` : "";
  return `
import errno, os, time
def flush():
    try:
        h.flush()
        print("flush 0", flush=True)
    except nbd.Error as error:
        print("flush", error.errnum, flush=True)
while True:
    try:
        h = nbd.NBD()
        h.connect_uri("${uri}")
        break
    except nbd.Error as error:
        # qemu-nbd is on its way.
        if error.errnum not in (errno.ENOENT, errno.ECONNREFUSED):
            raise
        time.sleep(0.05)
kept = bytes(range(256)) * 256
h.pwrite(kept, 0)
h.flush()
h.pwrite(kept, len(kept))
print("wrote and flushed", flush=True)
while not os.path.exists("${go}"):
    time.sleep(0.05)
${again}
flush()
flush()
if h.pread(len(kept), 0) == kept:
    print("what was flushed is there", flush=True)
h.pwrite(kept, len(kept))
flush()
assert h.pread(len(kept), len(kept)) == kept
h.shutdown()
`;
}
