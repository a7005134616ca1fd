import type { ProcessContext } from "../process/context.ts";
import type { DiskSettings } from "../process/settings.ts";
import { formatSize } from "../process/sizes.ts";
import { formatTable, Progress } from "../process/tables.ts";
import { callLocal, LOCAL_SOCKET } from "./local_call.ts";
import type { DiskSummary } from "./disk_summary.ts";

/** `dvsan disk …`: asks the host's agent and prints its answer. */
export async function runDisk(settings: DiskSettings, process: ProcessContext): Promise<void> {
  const progress = new Progress(process.stderr);
  const call = async (command: string, params: unknown): Promise<unknown> => {
    try {
      return await callLocal({
        fetch: (request, options) => process.fetch(request, options),
        socketPath: `${settings.state}/${LOCAL_SOCKET}`,
        call: { command, params },
        progress: (text) => progress.show(text),
      });
    } finally {
      progress.end();
    }
  };
  const { stdout, stderr } = process;
  switch (settings.kind) {
    case "create":
    case "grow": {
      const { name, size } = settings;
      if (size.note !== null) stderr.line(size.note);
      const params = { name, sizeBytes: size.sizeBytes };
      const disk = await call(settings.kind, params) as DiskSummary;
      return printDisk(disk, settings.json, process);
    }
    case "attach":
      return printDisk(
        await call("attach", { name: settings.name }) as DiskSummary,
        settings.json,
        process,
      );
    case "list": {
      const disks = await call("list", null) as DiskSummary[];
      if (settings.json) return stdout.line(JSON.stringify(disks, null, 2));
      if (disks.length === 0) stdout.line("No disks. Create one: dvsan disk create NAME --size 1G");
      else stdout.line(listing(disks));
      return;
    }
    case "show": {
      const { name, direct } = settings;
      const disk = await call("show", { name, direct }) as DiskSummary & { uris?: string[] };
      if (settings.json) return stdout.line(JSON.stringify(disk, null, 2));
      return direct ? printDirect(disk, process) : printDisk(disk, false, process);
    }
    case "release":
      await call("release", { name: settings.name });
      return stdout.line(`Released disk "${settings.name}"; its data is gone.`);
  }
}

function listing(disks: readonly DiskSummary[]): string {
  const rows = disks.map((disk) => [
    disk.name,
    formatSize(disk.sizeBytes),
    disk.state,
    String(disk.legs.length),
    String(disk.connections),
    disk.uri ?? "-",
  ]);
  return formatTable(["NAME", "SIZE", "STATE", "LEGS", "CONNECTIONS", "URI"], rows);
}

/** The disk in words, and its URI on the last line. */
function printDisk(disk: DiskSummary, json: boolean, { stdout }: ProcessContext): void {
  if (json) return stdout.line(JSON.stringify(disk, null, 2));
  stdout.line(
    `Disk "${disk.name}": ${formatSize(disk.sizeBytes)}, ${disk.state}, map version ` +
      `${disk.version}${disk.reason === null ? "" : `: ${disk.reason}`}`,
  );
  const rows = disk.legs.map((leg) => [
    String(leg.leg),
    leg.unit,
    leg.addresses.join(" "),
    formatSize(leg.sizeBytes),
    leg.generation,
    leg.reason === null ? leg.state : `${leg.state}: ${leg.reason}`,
  ]);
  stdout.line(formatTable(["LEG", "UNIT", "ADDRESSES", "SIZE", "GENERATION", "STATE"], rows));
  if (disk.uri !== null) stdout.line(disk.uri);
}

function printDirect(disk: DiskSummary & { uris?: string[] }, process: ProcessContext): void {
  process.stderr.line(
    `The agent no longer attaches "${disk.name}". Each URI below is a secret that opens one leg, ` +
      "one connection at a time, without repeats after a failure. Give the disk back to the " +
      `agent with: dvsan disk attach ${disk.name}`,
  );
  for (const uri of disk.uris ?? []) process.stdout.line(uri);
}
