import { createSocket } from "node:dgram";
import { MIB } from "../../protocol/core/limits.ts";

/**
 * What a test needs done from inside a machine of a lab: a test's own process is on none of them.
 *
 *   relay PATH ADDRESS PORT    every connection to the Unix socket PATH goes on to ADDRESS:PORT
 *   babble ADDRESS UDP TCP     sends garbage there until it is killed; one line for each round
 */
async function main([what, ...rest]: string[]): Promise<void> {
  if (what === "relay") {
    const [path = "", hostname = "", port = ""] = rest;
    return await relay(path, { hostname, port: Number(port) });
  }
  const [hostname = "", udp = "", tcp = ""] = rest;
  await babble(hostname, { udp: Number(udp), tcp: Number(tcp) });
}

async function relay(path: string, to: { hostname: string; port: number }): Promise<void> {
  const listener = Deno.listen({ transport: "unix", path });
  console.log("ready");
  for await (const near of listener) void join(near, to);
}

async function join(near: Deno.Conn, to: { hostname: string; port: number }): Promise<void> {
  try {
    const far = await Deno.connect(to);
    await Promise.all([
      near.readable.pipeTo(far.writable),
      far.readable.pipeTo(near.writable),
    ]);
  } catch {
    // Nobody listens, or one side broke off: the other one sees its connection end.
    try {
      near.close();
    } catch {
      // Closed with its stream.
    }
  }
}

async function babble(hostname: string, ports: { udp: number; tcp: number }): Promise<void> {
  const socket = createSocket("udp4");
  for (let round = 0;; round++) {
    for (const bytes of packets(round)) {
      await new Promise((resolve) => socket.send(bytes, ports.udp, hostname, resolve));
    }
    await talk(noise(1 + round * 7919 % MIB), { hostname, port: ports.tcp });
    console.log(`round ${round}`);
  }
}

/** Noise of many lengths, half of it with the magic and version of a true packet. */
function* packets(round: number): Generator<Uint8Array> {
  for (let i = 0; i < 50; i++) {
    const bytes = noise(1 + (round * 50 + i) * 31 % 1400);
    if (i % 2 === 0) bytes.set(new TextEncoder().encode("DVSC\x01").subarray(0, bytes.length));
    yield bytes;
  }
}

async function talk(bytes: Uint8Array, to: { hostname: string; port: number }): Promise<void> {
  try {
    const connection = await Deno.connect(to);
    try {
      const answer = connection.readable.pipeTo(new WritableStream()).catch(() => {});
      const writer = connection.writable.getWriter();
      await writer.write(bytes).catch(() => {});
      await writer.close().catch(() => {});
      await answer;
    } finally {
      closeQuietly(connection);
    }
  } catch {
    // Thrown out: as it should be.
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed with its streams.
  }
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

await main(Deno.args);
