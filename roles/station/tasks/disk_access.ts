import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { compareGenerations } from "../../../protocol/config/bodies.ts";
import { hexOf, utf8 } from "../../../protocol/core/bytes.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { ADDRESSES_PER_NODE_MAX } from "../../../protocol/core/limits.ts";
import type { Change } from "../catalog/catalog.ts";
import type { DiskRow, GrantRow, NodeRow } from "../catalog/rows.ts";
import { kickDisk, nextVersion, type Pool } from "../pool.ts";
import { untilDelivered } from "./disk_create.ts";
import { grantOf, isGrantedYet, mustDisk, requireMember, untilLegs } from "./legs.ts";
import { requireStillWanted } from "./still_wanted.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ diskId: z.string(), direct: z.boolean() });
const TOKEN_BYTES = 24;

/**
 * Hands a disk from the agent to consumers without one, or back. Every switch is a new generation,
 * so that the other side is fenced. Returns the URIs of the legs; they hold secrets and are kept
 * in memory only, for whoever asks while this run of the station lasts.
 */
export async function accessWork(
  pool: Pool,
  params: unknown,
  options: { readonly task: TaskContext; readonly hostAddress: string | null },
): Promise<string[]> {
  const { diskId, direct } = Params.parse(params);
  const { task } = options;
  const disk = mustDisk(pool, diskId);
  if (disk.state !== "ready") {
    throw new DvsanError("busy", `Disk "${disk.name}" is not ready: it is ${disk.state}.`);
  }
  const addresses = direct ? addressesOf(pool.nodes.row(disk.hostId), options.hostAddress) : [];
  if (direct && disk.access === "agent") {
    requireStillWanted(task, `change the access to disk "${disk.name}"`);
  }
  task.commitTo("switching access");
  if (direct) {
    await pool.catalog.commit([accessOf(pool, diskId, "direct")]);
    kickDisk(pool, diskId);
    await untilDelivered(pool, diskId, task);
  }
  requireMember(pool, mustDisk(pool, diskId));
  const legs = pool.catalog.legsOf(diskId);
  const tokens = legs.map(() => hexOf(pool.world.random.bytes(TOKEN_BYTES)));
  const changes = legs.map((leg, index): Change => {
    const tokenHash = createHash("sha256").update(utf8(tokens[index]!)).digest();
    return grantOf(
      pool,
      leg.id,
      direct ? { tokenHash: Uint8Array.from(tokenHash), addresses } : null,
    );
  });
  // With the grants: should this task end before their units come back, the host is told of them
  // all the same once they have taken them (Station: mayTell).
  await pool.catalog.commit([...changes, accessOf(pool, diskId, direct ? "direct" : "agent")]);
  const grants = legs.map(({ id }) => pool.catalog.grants.get(id));
  kickDisk(pool, diskId);
  await untilLegs(pool, {
    diskId,
    task,
    what: "to be granted anew",
    test: (all, leg, held) => {
      for (const grant of grants) requireOwn(all, disk, grant);
      return isGrantedYet(all, leg, held);
    },
  });
  kickDisk(pool, diskId);
  await untilDelivered(pool, diskId, task);
  const text = direct
    ? `Disk "${disk.name}" can be used without the agent; the agent let go of it.`
    : `Disk "${disk.name}" is the agent's again; the tokens are void.`;
  pool.events.say({ kind: "disk.access", severity: "info", subject: disk.name, text });
  if (!direct) return [];
  return legs.map((leg, index) => {
    const unit = pool.nodes.row(leg.unitId);
    const [address] = JSON.parse(unit?.dataAddressesJson ?? "[]") as string[];
    return `nbd://${address ?? "unknown"}/${tokens[index]}`;
  });
}

/**
 * What a unit holds of another station is learned over what was given here; then these tokens are
 * nobody's. DvsanError "busy".
 */
function requireOwn(pool: Pool, { name }: DiskRow, given: GrantRow | undefined): void {
  const now = given && pool.catalog.grants.get(given.volumeId);
  if (given === undefined || now === undefined) return;
  const isSame = compareGenerations(now, given) === 0 &&
    isDeepStrictEqual(now.tokenHash, given.tokenHash);
  if (isSame || now.state === "revoked") return;
  throw new DvsanError(
    "busy",
    `Disk "${name}" was granted by another station meanwhile, and that stands. See "dvsan ctl ` +
      `disks", and try again.`,
  );
}

function accessOf(pool: Pool, diskId: string, access: DiskRow["access"]): Change {
  const disk = mustDisk(pool, diskId);
  return { table: "disks", put: { ...disk, access, version: nextVersion(pool, disk) } };
}

/** IP addresses that the host announced, and where it is heard from. */
function addressesOf(host: NodeRow | null, heardFrom: string | null): string[] {
  const announced = JSON.parse(host?.interfacesJson ?? "[]") as string[];
  const all = heardFrom === null ? announced : [heardFrom, ...announced];
  const addresses = [...new Set(all.map((address) => address.replace(/\/\d+$/, "")))];
  if (addresses.length === 0) {
    throw new DvsanError("unavailable", "The host announced no address: start its agent first.");
  }
  return addresses.slice(0, ADDRESSES_PER_NODE_MAX);
}
