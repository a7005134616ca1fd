import type { Needs } from "../needs.ts";

/** What a client is pointed at: something of dvsan's that may be written over. */
export interface Target {
  readonly uri: string;
  readonly sizeBytes: number;
}

/** One program, and what it has to see and do. */
export interface ClientCheck {
  readonly name: string;
  readonly needs: Needs;
  run(target: Target): Promise<void>;
}
