import type { ExportInfo } from "../../protocol/nbd/export_info.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Agreed } from "../../protocol/nbd/request.ts";
import type { Device } from "../devices/device.ts";
import type { BufferUser, Handle, Io } from "../io/io.ts";
import type { Asker } from "../io/operation.ts";
import type { RequestPool } from "./server_request.ts";

/** What connections share: buffers all of an Io, requests those of a server. */
export type Shared = "buffer" | "request";

/** What a session asks of its connection. */
export interface SessionHost {
  /** The session can take more bytes. */
  receiveMore(): void;
  /** The client said DISC: nothing more is read, what is outstanding is answered. */
  disconnected(): void;
  /** One of what all connections share is waited for. */
  starved(of: Shared): void;
  /** The stream cannot go on. */
  failed(reason: string): void;
  /** A device error, once for each request that met it. */
  deviceFailed(command: number, errno: number): void;
  /** Something ended: a device operation, a send, a payload. */
  progressed(): void;
}

export interface SessionOptions {
  readonly io: Io;
  readonly handle: Handle;
  readonly pool: RequestPool;
  readonly device: Device;
  readonly info: ExportInfo;
  readonly agreed: Agreed;
  /** Of the connection. */
  readonly counters: CounterRow;
  /** Who its payload buffers are taken for. */
  readonly bufferUser: BufferUser;
  /** Of the export. */
  readonly askers?: Set<Asker> | undefined;
}

/** Why no more is parsed for now. */
export type Pause =
  | "none"
  /** This connection has taken as much as one may. */
  | "capacity"
  /** The server's request objects are all taken. */
  | "requests"
  /** No buffer is free for the current request. */
  | "buffer"
  /** The rest of the current request's payload is being received. */
  | "payload"
  | "stopped";
