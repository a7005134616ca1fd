import { isIPv4 } from "node:net";
import { NAME_CHARACTERS_MAX } from "../../protocol/core/limits.ts";
import { invalidName } from "../../protocol/core/names.ts";
import { defined } from "../../protocol/core/assert.ts";
import type { Machine } from "./context.ts";

/** This machine, asked once for what does not change while a process runs. */
export function thisMachine(): Machine {
  return {
    bootId: Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim(),
    processors: navigator.hardwareConcurrency,
    nodeName: nodeNameOf(Deno.hostname()),
    addresses: () => sortAddresses(Deno.networkInterfaces().map((each) => each.address)),
  };
}

/** The first label of a host name as a valid node name; "node" when nothing of it can be used. */
export function nodeNameOf(hostName: string): string {
  const label = defined(hostName.split(".")[0], "split always gives one part");
  const name = label.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "")
    .slice(0, NAME_CHARACTERS_MAX);
  return invalidName(name) === null ? name : "node";
}

/** Routable addresses before link-local and loopback ones, IPv4 before IPv6; each once. */
export function sortAddresses(addresses: readonly string[]): string[] {
  const rank = (address: string) => {
    const local = /^(127\.|::1$)/.test(address) ? 4 : 0;
    const link = /^(169\.254\.|fe80:)/i.test(address) ? 2 : 0;
    return local + link + (isIPv4(address) ? 0 : 1);
  };
  return [...new Set(addresses)].sort((a, b) => rank(a) - rank(b));
}
