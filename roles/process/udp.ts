import { createSocket, type Socket } from "node:dgram";
import { isIPv4, isIPv6 } from "node:net";
import type { Endpoint } from "../../protocol/config/link.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { CountedDatagrams, DatagramOptions } from "./context.ts";
import { formatEndpoint } from "./endpoints.ts";

/** A bound UDP socket. DvsanError "busy" when the port is taken, "unavailable" otherwise. */
export async function openDatagrams(options: DatagramOptions): Promise<CountedDatagrams> {
  const family = isIPv6(options.address) ? "udp6" : "udp4";
  const socket = createSocket(family);
  try {
    await bind(socket, options);
  } catch (error) {
    socket.close();
    throw cannotListen(options, error);
  }
  const groupOn = options.multicast === undefined ? [] : joinGroup(socket, options.multicast);
  return new UdpSocket(socket, { family, groupOn });
}

/**
 * Joins on every interface by itself: without a default route the kernel knows no interface to
 * choose. Where it cannot be joined only `--station auto` is lost. The addresses where it could.
 */
function joinGroup(socket: Socket, group: string): string[] {
  return interfaceAddresses().filter((address) => {
    try {
      socket.addMembership(group, address);
      return true;
    } catch {
      return false;
    }
  });
}

function interfaceAddresses(): string[] {
  return Deno.networkInterfaces().map(({ address }) => address).filter(isIPv4);
}

/** 224.0.0.0/4. */
function isGroup(address: string): boolean {
  const first = isIPv4(address) ? Number(address.split(".")[0]) : 0;
  return first >= 224 && first < 240;
}

function bind(socket: Socket, options: DatagramOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address: options.address, port: options.port }, () => {
      socket.removeListener("error", reject);
      resolve();
    });
  });
}

function cannotListen(options: DatagramOptions, error: unknown): DvsanError {
  const where = formatEndpoint(options);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const taken = code === "EADDRINUSE" ||
    (error instanceof Error && /in use|EADDRINUSE/i.test(error.message));
  if (taken) {
    const message = `Cannot listen on UDP ${where}: another process has it. ` +
      "Stop that process or choose another --control address.";
    return new DvsanError("busy", message, { cause: error });
  }
  const why = error instanceof Error ? error.message : String(error);
  const message = `Cannot listen on UDP ${where}: ${why}. Choose another --control address.`;
  return new DvsanError("unavailable", message, { cause: error });
}

class UdpSocket implements CountedDatagrams {
  readonly local: Endpoint;
  readonly groupOn: readonly string[];
  dropped = 0;
  #socket: Socket;
  #family: "udp4" | "udp6";
  #receiver: ((packet: Uint8Array, from: Endpoint) => void) | null = null;
  #closed = false;
  #groupBusy = false;

  constructor(
    socket: Socket,
    about: { readonly family: "udp4" | "udp6"; readonly groupOn: readonly string[] },
  ) {
    this.#socket = socket;
    this.#family = about.family;
    this.groupOn = about.groupOn;
    const { address, port } = socket.address();
    this.local = { address, port };
    socket.on("message", (packet, from) => {
      // An IPv6 socket for all addresses shows IPv4 peers as mapped ones.
      const address = from.address.replace(/^::ffff:(?=\d+\.)/i, "");
      this.#receiver?.(new Uint8Array(packet), { address, port: from.port });
    });
    // ICMP errors and the like: the protocol repeats what it needs, so they only count.
    socket.on("error", () => this.dropped++);
  }

  onPacket(run: (packet: Uint8Array, from: Endpoint) => void): void {
    this.#receiver = run;
  }

  send(packet: Uint8Array, to: Endpoint): void {
    const address = this.#reachable(to.address);
    if (this.#closed || address === null || to.port < 1 || to.port > 65535) {
      this.dropped++;
      return;
    }
    if (isGroup(address)) void this.#sendToGroup(packet, { ...to, address });
    else void this.#send(packet, { ...to, address });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = null;
    this.#socket.close();
  }

  /** Out of every interface by itself, for the reason that joinGroup() has. */
  async #sendToGroup(packet: Uint8Array, to: Endpoint): Promise<void> {
    if (this.#groupBusy) {
      this.dropped++;
      return;
    }
    this.#groupBusy = true;
    for (const address of interfaceAddresses()) {
      if (this.#closed) break;
      try {
        this.#socket.setMulticastInterface(address);
      } catch {
        continue; // It is gone, or does not do multicast.
      }
      await this.#send(packet, to);
    }
    this.#groupBusy = false;
  }

  #send(packet: Uint8Array, { address, port }: Endpoint): Promise<void> {
    return new Promise((resolve) => {
      const over = (error?: unknown) => {
        if (error !== null && error !== undefined) this.dropped++;
        resolve();
      };
      try {
        this.#socket.send(packet, port, address, over);
      } catch (error) {
        over(error);
      }
    });
  }

  /** The address as this socket's family writes it, or null when it cannot get there. */
  #reachable(address: string): string | null {
    if (this.#family === "udp4") return isIPv4(address) ? address : null;
    if (isIPv4(address)) return `::ffff:${address}`;
    return isIPv6(address) ? address : null;
  }
}
