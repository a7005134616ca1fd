import type { Endpoint } from "../../protocol/config/link.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { CONTROL_PORT, STATION_MULTICAST_ADDRESS } from "../../protocol/core/limits.ts";

/** `--station`: an address, a DNS name, or `auto` for whoever answers on the local network. */
export interface StationAddress {
  readonly kind: "address" | "name" | "auto";
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** [IPV6] or a name or IPv4 address, each perhaps with a port; or a bare IPv6 address. */
const HOST_AND_PORT = new RegExp(
  "^(?:\\[([^\\]]+)\\]|([^[\\]:\\s]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.%a-z]*))" +
    "(?::(\\d{1,5}))?$",
);

/** Reads HOST[:PORT], [IPV6]:PORT, IPV6 or `auto`; else DvsanError "usage". */
export function parseStation(text: string): StationAddress {
  const [, bracketed, plain, port] = HOST_AND_PORT.exec(text.trim()) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? CONTROL_PORT : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw new DvsanError(
      "usage",
      `Cannot use "${text}" as the station's address: give HOST, HOST:PORT, [IPV6]:PORT or auto.`,
    );
  }
  if (host === "auto") return { kind: "auto", host: STATION_MULTICAST_ADDRESS, port: number };
  const isAddress = host.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(host);
  return { kind: isAddress ? "address" : "name", host, port: number };
}

/** Where to try, in order. Names are looked up every time: a station may move. */
export async function stationEndpoints(
  station: StationAddress,
  resolve: (host: string) => Promise<string[]>,
): Promise<Endpoint[]> {
  const { kind, host, port } = station;
  const addresses = kind === "name" ? await resolve(host) : [host];
  return addresses.map((address) => ({ address, port }));
}
