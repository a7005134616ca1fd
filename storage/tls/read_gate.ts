import type { Socket } from "node:net";

/**
 * What the runtime reads a socket by, under the name that Node has had for it from its beginnings.
 * TLS on a socket takes its bytes below what `pause` stops, and goes on reading while nobody takes
 * the plaintext, without a bound (Deno 2.9.6). To put a stream of ours between instead cost half of
 * the rate of reads.
 */
interface ReadHandle {
  readStart(): number;
  readStop(): number;
}

/** Reads no more of this socket, on which TLS is, than was read already. */
export function holdReads(socket: Socket): void {
  handleOf(socket)?.readStop();
}

export function releaseReads(socket: Socket): void {
  handleOf(socket)?.readStart();
}

/** Null once it is closed. */
function handleOf(socket: Socket): ReadHandle | null {
  return (socket as unknown as { readonly _handle: ReadHandle | null })._handle;
}
