import { isIP, isIPv6 } from "node:net";
import type { Endpoint } from "../../protocol/config/link.ts";

/** "192.0.2.1:10810" or "[2001:db8::1]:10810". */
export function formatEndpoint(endpoint: Endpoint): string {
  const { address, port } = endpoint;
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A literal address and a port (0 to 65535), or why the text is none. */
export function parseEndpoint(text: string): Endpoint | string {
  const place = splitPort(text);
  if (typeof place === "string") return place;
  if (place.port === null) return "a port is missing";
  if (isIP(place.host) === 0) return `"${place.host}" is not an IP address`;
  return { address: place.host, port: place.port };
}

/** A host name or literal address, and a port where one is given; or why the text is none. */
export function parsePlace(text: string): { host: string; port: number | null } | string {
  const place = splitPort(text);
  if (typeof place === "string") return place;
  if (place.port === 0) return "port 0 cannot be reached";
  if (isIP(place.host) !== 0) return place;
  const label = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?";
  const named = new RegExp(`^${label}(\\.${label})*\\.?$`).test(place.host);
  // Something like 10.0.0.300 is a mistyped address, never a name.
  if (!named || place.host.length > 253 || /^[\d.]+$/.test(place.host)) {
    return `"${place.host}" is neither a host name nor an IP address`;
  }
  return place;
}

/** Why nobody can be reached at this host name or literal address, or null. */
export function unreachable(host: string): string | null {
  const isEvery = ["0.0.0.0", "::", "::ffff:0:0"].includes(spelled(host));
  return isEvery ? `${host} stands for every address of a machine, not for one` : forMany(host);
}

/** Why it is no address of a single machine (multicast, broadcast), or null. */
export function forMany(host: string): string | null {
  const one = spelled(host).replace(/%.*/, "");
  const isMany = isIPv6(one) ? one.startsWith("ff") : isIP(one) !== 0 && parseInt(one) >= 224;
  return isMany ? `${host} is no address of a single machine` : null;
}

/** In the one way that there is for each address (`0:0:0:0:0:0:0:0` is `::`). */
function spelled(host: string): string {
  const url = `http://[${host}]`;
  return isIPv6(host) && URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : host;
}

function splitPort(text: string): { host: string; port: number | null } | string {
  if (isIPv6(text)) return { host: text, port: null };
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return "an address and a port are wanted, as in 192.0.2.1:10810";
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) return `"${bracketed}" is not an IPv6 address`;
  const host = bracketed ?? plain ?? "";
  if (host === "") return "an address is missing";
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && port > 65535) return `port ${port} is above 65535`;
  return { host, port };
}
