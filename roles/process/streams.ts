import { DvsanError } from "../../protocol/core/errors.ts";
import type { ByteStream, HttpPlace } from "./context.ts";
import { formatEndpoint } from "./endpoints.ts";

const CHUNK_BYTES = 256 * 1024;

/** Connects to a Unix socket or a TCP port. */
export async function connectStream(to: HttpPlace): Promise<ByteStream> {
  try {
    if ("socketPath" in to) {
      return byteStream(await Deno.connect({ transport: "unix", path: to.socketPath }));
    }
    return byteStream(await Deno.connect({ hostname: to.address, port: to.port }));
  } catch (cause) {
    const place = "socketPath" in to ? to.socketPath : formatEndpoint(to);
    throw new DvsanError("unavailable", `Cannot connect to ${place}.`, { cause });
  }
}

function byteStream(connection: Deno.Conn): ByteStream {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let open = true;
  return {
    async read() {
      const count = await connection.read(chunk).catch(() => null);
      return count === null ? null : chunk.slice(0, count);
    },
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        at += await connection.write(bytes.subarray(at)).catch((cause) => {
          throw new DvsanError("unavailable", "The other side closed the connection.", { cause });
        });
      }
    },
    close() {
      if (open) connection.close();
      open = false;
    },
  };
}
