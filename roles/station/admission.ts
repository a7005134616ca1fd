import type { NodeHello } from "../../protocol/config/bodies.ts";
import { bytesEqual } from "../../protocol/core/bytes.ts";
import { NODES_MAX, NODES_PENDING_MAX } from "../../protocol/core/limits.ts";
import { invalidName } from "../../protocol/core/names.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { NodeRow } from "./catalog/rows.ts";

/** A node that wants to be in the pool. */
export interface Asking {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly hello: NodeHello;
}

/** Why it may not be, or null. A name or id that is somebody's cannot be taken over. */
export function whyNotAdmitted(
  catalog: Catalog,
  { id, publicKey, hello }: Asking,
  joinProved: boolean,
): string | null {
  const known = catalog.nodes.get(id);
  const badName = invalidName(hello.name);
  if (badName !== null) return `"${hello.name}" cannot name a node: ${badName}`;
  if (known !== undefined) {
    if (!bytesEqual(known.publicKey, publicKey)) return "this id belongs to another key";
    if (known.role !== hello.role) return `this identity is a ${known.role}'s`;
    if (known.admission === "revoked") return `node "${known.name}" was revoked`;
  } else if (!joinProved) {
    return `not known here, and no valid ${hello.role} join key was proved: ` +
      `give the station's ${hello.role}.key with --key`;
  }
  for (const holder of catalog.nodes.values()) {
    if (holder.name !== hello.name || holder.id === id) continue;
    return `the name "${hello.name}" belongs to another ${holder.role}: choose one with --name`;
  }
  return known === undefined ? whyFull(catalog) : null;
}

function whyFull({ nodes }: Catalog): string | null {
  if (nodes.size >= NODES_MAX) return `the station knows ${NODES_MAX} nodes, its most`;
  const pending = [...nodes.values()].filter((node) => node.admission === "pending").length;
  return pending < NODES_PENDING_MAX ? null : `${pending} nodes wait for approval already`;
}

/** The record with what the node tells about itself now. */
export function renewed(row: NodeRow, hello: NodeHello): NodeRow {
  return {
    ...row,
    name: hello.name,
    spare: hello.spare ? 1 : 0,
    version: hello.version,
    interfacesJson: JSON.stringify(hello.interfaces),
    dataAddressesJson: JSON.stringify(hello.dataAddresses),
  };
}
