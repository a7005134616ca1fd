import { Consumer } from "../consumers/consumer.ts";
import type { Way } from "../consumers/opening.ts";
import type { Workload } from "../consumers/workload.ts";
import { stateOf } from "../machines/cluster.ts";
import { SimRole } from "../machines/role.ts";

export interface ConsumerRole {
  /** The name of its process. */
  readonly role: string;
  readonly host: SimRole;
  /** Of the disk. */
  readonly name: string;
  readonly way: Way;
  readonly workload: Workload;
}

/** The processes of a consumer on a host, one after another. */
export function consumerOf({ role, host, name, way, workload }: ConsumerRole): SimRole {
  const { machine } = host;
  const agent = () => way.kind === "agent" ? host.owner?.name ?? "" : "";
  return new SimRole(
    machine,
    role,
    (process, owner) => new Consumer({ machine, owner, process, name, way, agent, workload }).run(),
  );
}

export function agentOf({ machine }: SimRole, name: string): Way {
  return { kind: "agent", socketPath: `${stateOf(machine)}/disks/${name}.sock` };
}

/** Whoever was told a disk's token. */
export interface DirectUse {
  /** It comes again and again. */
  readonly consumer: SimRole;
  /** Comes by the same token, for one connection, and throws the other out. */
  readonly second: SimRole;
}

/** The consumers that a token was told to: at first the one, and the second when it is started. */
export function byToken(of: ConsumerRole): DirectUse {
  const second = consumerOf({ ...of, role: `${of.role}, second` });
  second.wanted = false;
  return { consumer: consumerOf(of), second };
}
