import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { STREAM_READ_BYTES_MAX } from "../../protocol/core/limits.ts";
import type { ByteStream, HttpPlace } from "./context.ts";
import { formatEndpoint } from "./endpoints.ts";

/** A connection to a TCP port or Unix socket. DvsanError "unavailable" when nobody listens. */
export async function connectStream(to: HttpPlace): Promise<ByteStream> {
  try {
    const connection = "socketPath" in to
      ? await Deno.connect({ transport: "unix", path: to.socketPath })
      : await Deno.connect({ hostname: to.address, port: to.port });
    return new ConnectedStream(connection);
  } catch (error) {
    const where = "socketPath" in to ? to.socketPath : formatEndpoint(to);
    const message = `Cannot connect to ${where}: ${messageOf(error)}. Check that it is running.`;
    throw new DvsanError("unavailable", message, { cause: error });
  }
}

class ConnectedStream implements ByteStream {
  #connection: Deno.Conn;
  #closed = false;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async read(): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(STREAM_READ_BYTES_MAX);
    try {
      const count = await this.#connection.read(bytes);
      return count === null ? null : bytes.subarray(0, count);
    } catch (error) {
      if (this.#closed) return null;
      throw broken(error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#connection.write(bytes.subarray(at));
      }
    } catch (error) {
      throw broken(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}

function broken(error: unknown): DvsanError {
  const message = `The connection broke: ${messageOf(error)}. Connect again.`;
  return new DvsanError("unavailable", message, { cause: error });
}
