import { DEVICE_ERROR_AGAIN_MS, DEVICE_ERRORS_KEPT_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { errnoName } from "../io/errno.ts";

/** A request that a device has ended with an error. */
export interface DeviceError {
  /** As the client asked for it. */
  readonly exportName: string;
  readonly connection: number;
  readonly command: number;
  /** Positive. */
  readonly errno: number;
}

interface Said {
  atMs: number;
  /** Alike, since then. */
  unsaid: number;
}

/**
 * Logs what devices answer: each kind of error of an export once, and again after a minute with
 * how many there were meanwhile. A medium that dies under a thousand connections fills no log; what
 * is counted is another matter (server_meter.ts).
 */
export class DeviceErrors {
  readonly #log: Log;
  readonly #said = new Map<string, Said>();

  constructor(log: Log) {
    this.#log = log;
  }

  failed({ exportName, connection, command, errno }: DeviceError, nowMs: number): void {
    const key = `${errno} ${command} ${exportName}`;
    const said = this.#said.get(key);
    if (said !== undefined && nowMs - said.atMs < DEVICE_ERROR_AGAIN_MS) {
      said.unsaid++;
      return;
    }
    this.#keep(key, nowMs);
    this.#log.warn("A device failed a request", {
      export: exportName,
      connection,
      command: nameOf(command),
      error: errnoName(errno),
      ...(said === undefined || said.unsaid === 0 ? {} : { alikeMeanwhile: said.unsaid }),
    });
  }

  #keep(key: string, nowMs: number): void {
    this.#said.delete(key);
    const [oldest] = this.#said.keys();
    if (this.#said.size >= DEVICE_ERRORS_KEPT_MAX && oldest !== undefined) {
      this.#said.delete(oldest);
    }
    this.#said.set(key, { atMs: nowMs, unsaid: 0 });
  }
}

function nameOf(command: number): string {
  return Object.entries(COMMAND).find(([, number]) => number === command)?.[0] ?? String(command);
}
