import { findTool } from "../needs.ts";
import { fetchKernel } from "./kernel.ts";

/** Programs that tests use, and the Debian package that brings each. */
export const TOOL_PACKAGES: Readonly<Record<string, string>> = {
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  "qemu-nbd": "qemu-utils",
  "fio": "fio",
  "nbdkit": "nbdkit",
  "nbdcopy": "libnbd-bin",
  "nbdinfo": "libnbd-bin",
  "nbddump": "libnbd-bin",
  "nbdsh": "python3-libnbd",
  "nbd-server": "nbd-server",
  "nbd-client": "nbd-client",
  "ip": "iproute2",
  "losetup": "mount",
  "mkfs.ext4": "e2fsprogs",
  "e2fsck": "e2fsprogs",
  "debugfs": "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  "mkfs.vfat": "dosfstools",
  "sfdisk": "fdisk",
  "qemu-system-x86_64": "qemu-system-x86",
  "busybox": "busybox-static",
  "socat": "socat",
  "script": "bsdutils",
  "stty": "coreutils",
};

const APT_TIMEOUT = "10m";
/** A mirror may fail once; another apt-get of the machine may be at work. */
const APT_PATIENCE = ["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"];

/** Installs what is missing, when root; tests that still lack a tool are skipped. */
export async function installPackages(): Promise<void> {
  await installTools();
  // Without it, the tests that boot one are skipped, and say so.
  if (Deno.build.arch === "x86_64" && findTool("apt-get") !== null) await fetchKernel();
}

async function installTools(): Promise<void> {
  const missing = Object.keys(TOOL_PACKAGES).filter((tool) => findTool(tool) === null);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => TOOL_PACKAGES[tool] ?? tool))];
  if (Deno.uid() !== 0 || findTool("apt-get") === null) {
    console.log(`Not installed (that takes root and apt-get): ${packages.join(" ")}`);
    return;
  }
  console.log(`Installing: ${packages.join(" ")}`);
  await apt(["update"]);
  if (await apt(["install", "--yes", "--no-install-recommends", ...packages])) return;
  // One package that cannot be had must not keep the others away.
  const away: string[] = [];
  for (const name of packages) {
    if (!await apt(["install", "--yes", "--no-install-recommends", name])) away.push(name);
  }
  if (away.length === 0) return;
  console.log(`Tests that use these are skipped, until they can be had: ${away.join(" ")}`);
}

async function apt(args: string[]): Promise<boolean> {
  const output = await new Deno.Command("timeout", {
    args: [APT_TIMEOUT, "apt-get", "-qq", ...APT_PATIENCE, ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!output.success) {
    const words = new TextDecoder().decode(output.stderr).trim().split("\n").at(-1) ?? "";
    console.log(`apt-get ${args[0]} failed: ${words}`);
  }
  return output.success;
}

/** Fills the npm cache, so that no process that a test starts has to download first. */
export async function fillCache(): Promise<void> {
  const status = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--frozen", "--quiet"],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  if (!status.success) console.log("The npm packages could not all be fetched beforehand.");
}
