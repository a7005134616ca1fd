import { fromHex, hexOf } from "../../protocol/core/bytes.ts";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { NodeRow } from "./catalog/rows.ts";
import type { RevokedNode, StationIdentity } from "./identity.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";

const SHORT_CHARACTERS = 8;

export interface RevokedNodesOptions {
  readonly identity: Pick<StationIdentity, "revoked" | "keepRevoked" | "path">;
  readonly catalog: Catalog;
  readonly world: World;
}

/**
 * Who was revoked stands in the catalog and in the station's identity file. A catalog that is
 * restored, damaged or lost knows less, and no unit shows a revocation of a node without a disk: so
 * what the file has is taken into the catalog at each start, before anybody is let in.
 */
export class RevokedNodes {
  readonly #o: RevokedNodesOptions;

  constructor(options: RevokedNodesOptions) {
    this.#o = options;
  }

  /**
   * At a start: what one of the two does not know is learned from the other. A revocation that the
   * catalog forgot shows that it is behind. Durable when it resolves.
   */
  async merge(standing: Standing): Promise<void> {
    const { catalog, identity } = this.#o;
    const forgotten = identity.revoked.filter(({ id }) =>
      catalog.nodes.get(id)?.admission !== "revoked"
    );
    for (const { role, name } of forgotten) {
      await standing.recover(
        `The ${role} "${name}" was revoked, and this catalog does not know of it: it is older, ` +
          "or was lost. The node stays revoked.",
      );
    }
    await catalog.commit(forgotten.map((node): Change => this.#revoked(node)));
    this.#keep([...catalog.nodes.values()].filter(({ admission }) => admission === "revoked"));
  }

  /** After the catalog has it durably. What the operator is to know of it, or null. */
  add(row: NodeRow): string | null {
    if (this.#o.identity.revoked.some(({ id }) => id === row.id)) return null;
    const path = this.#o.identity.path("identity");
    return this.#keep([row])
      ? `Copy ${path} anew: a station that starts from an older copy lets "${row.name}" in again.`
      : `${path} could not be written: a station that lost its catalog lets "${row.name}" in ` +
        "again.";
  }

  #revoked(node: RevokedNode): Change {
    const { catalog, world } = this.#o;
    const known = catalog.nodes.get(node.id);
    if (known !== undefined) return { table: "nodes", put: { ...known, admission: "revoked" } };
    const isTaken = [...catalog.nodes.values()].some(({ name }) => name === node.name);
    const put: NodeRow = {
      id: node.id,
      name: isTaken ? `revoked-${node.id.slice(0, SHORT_CHARACTERS)}` : node.name,
      role: node.role,
      publicKey: defined(fromHex(node.publicKey), "stored keys were checked to be hex"),
      admission: "revoked",
      spare: 0,
      version: "",
      interfacesJson: "[]",
      dataAddressesJson: "[]",
      quotaBytes: 0,
      joinedMs: world.clock.wallMs(),
    };
    return { table: "nodes", put };
  }

  /** Whether the file has them now; the catalog has, and the next start tries again. */
  #keep(rows: readonly NodeRow[]): boolean {
    try {
      this.#o.identity.keepRevoked(rows.map(({ id, name, role, publicKey }) => {
        return { id, name, role, publicKey: hexOf(publicKey) };
      }));
      return true;
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      this.#o.world.log.error(`Cannot keep who was revoked: ${error.message}`);
      return false;
    }
  }
}
