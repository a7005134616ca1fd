import { totalOf } from "../../protocol/config/count_run.ts";
import type { RequestBody } from "../../protocol/config/requests.ts";
import type { KnownNode, StationLink } from "../../protocol/config/link.ts";
import { messageOf } from "../../protocol/core/errors.ts";
import {
  HOST_QUOTA_BYTES_DEFAULT,
  NODES_MAX,
  UNITS_RETURN_MS,
} from "../../protocol/core/limits.ts";
import { type Asking, renewed, whyNotAdmitted } from "./admission.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { NodeRow } from "./catalog/rows.ts";
import type { Events } from "./events.ts";
import type { Admission, World } from "./ports.ts";
import { copiedText, Copies } from "./copies.ts";
import { absenceReason, absent, type NodePresence, Silences, wasAway } from "./presence.ts";
import { timeText } from "./words.ts";

export interface NodesOptions {
  readonly world: World;
  readonly catalog: Catalog;
  readonly events: Events;
  readonly admit: Admission;
  readonly hostQuotaBytes?: number;
  readonly link: () => StationLink;
  /** The session stands and the node is admitted: read its storage, or bring its disks. */
  readonly onPresent: (node: NodeRow) => void;
  /** What changes when its data addresses do: in one commit, or nobody might ever be told. */
  readonly movedMaps: (nodeId: string) => readonly Change[];
  /** Its data addresses are others than before. */
  readonly onMoved: (node: NodeRow) => void;
  readonly onChange: () => void;
}

/** Who belongs to the pool, and who is there: admission, heartbeats, goodbyes, silence. */
export class Nodes {
  readonly #o: NodesOptions;
  readonly #presence = new Map<string, NodePresence>();
  /** When the last handshake of a node arrived; bounded as the nodes are. */
  readonly #announced = new Map<string, number>();
  readonly #entering = new Set<string>();
  readonly #copies = new Copies();
  readonly #startMs: number;
  readonly #silences = new Silences();

  constructor(options: NodesOptions) {
    this.#o = options;
    this.#startMs = options.world.clock.nowMs();
    for (const row of options.catalog.nodes.values()) this.#presence.set(row.id, absent(row));
  }

  row(id: string): NodeRow | null {
    return this.#o.catalog.nodes.get(id) ?? null;
  }

  presence(id: string): NodePresence | null {
    return this.#presence.get(id) ?? null;
  }

  /** Where it is heard from, "ADDRESS:PORT", or null without a session. */
  endpoint(id: string): string | null {
    const at = this.#o.link().node(id)?.endpoint;
    if (at === undefined) return null;
    return at.address.includes(":") ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
  }

  /** Its session stands and it is fully in the pool. */
  isOnline(id: string): boolean {
    return this.#presence.get(id)?.state === "online" && this.#o.link().node(id) !== null;
  }

  /** The station has just started, and not all units had the time to come back. */
  areUnitsReturning(): boolean {
    const { world, catalog } = this.#o;
    if (world.clock.nowMs() - this.#startMs >= UNITS_RETURN_MS) return false;
    return [...catalog.nodes.values()].some((row) => {
      if (row.role !== "unit" || row.admission !== "admitted") return false;
      const presence = this.#presence.get(row.id);
      return presence?.state === "joining" || presence?.lastHeardMs === null;
    });
  }

  /** Why a node may not have a session, or null. Changes nothing: handshakes can be replayed. */
  admit(node: Asking & { joinProved: boolean }): string | null {
    const why = whyNotAdmitted(this.#o.catalog, node, node.joinProved);
    if (why === null && (this.#announced.has(node.id) || this.#announced.size < NODES_MAX)) {
      this.#announced.set(node.id, this.#o.world.clock.nowMs());
    }
    return why;
  }

  /** First valid packet under new keys. Two may have asked for one name: look again. */
  connected(node: KnownNode, joinProved: boolean): void {
    const why = whyNotAdmitted(this.#o.catalog, node, joinProved);
    if (why !== null) {
      this.#o.link().drop(node.id);
      const text = `Refused ${node.hello.role} "${node.hello.name}": ${why}.`;
      this.#o.events.say({
        kind: "node.refused",
        severity: "warn",
        subject: node.hello.name,
        text,
      });
      return;
    }
    this.#watchCopies(node);
    const before = this.row(node.id);
    const row = before === null ? this.#newRow(node) : renewed(before, node.hello);
    const presence = this.#presence.get(node.id) ?? absent(row);
    this.#presence.set(node.id, presence);
    presence.lastHeardMs = this.#o.world.clock.nowMs();
    presence.announcedMs = this.#announced.get(node.id) ?? presence.lastHeardMs;
    this.#announced.delete(node.id);
    this.#entering.add(node.id);
    this.#put(before, row).then(() => this.#entered(row, before)).catch((error) => {
      this.#o.link().drop(node.id);
      this.#o.world.log.error(`Cannot keep node "${row.name}": ${messageOf(error)}`);
    }).finally(() => this.#entering.delete(node.id));
  }

  /** Identities that two processes use, in sentences. */
  copies(): string[] {
    return [...this.#o.catalog.nodes.values()].filter(({ id }) => this.isCopied(id))
      .map(copiedText);
  }

  isCopied(id: string): boolean {
    return this.#copies.isCopied(id, this.#o.world.clock.nowMs());
  }

  #watchCopies({ id, hello }: KnownNode): void {
    const row = this.row(id);
    const nowMs = this.#o.world.clock.nowMs();
    if (row === null || !this.#copies.came(id, { run: hello.run ?? "", nowMs })) return;
    this.#say("copied", row, { severity: "error", text: copiedText(row) });
  }

  #newRow({ id, publicKey, hello }: KnownNode): NodeRow {
    const { admit, hostQuotaBytes, world } = this.#o;
    return renewed({
      id,
      name: hello.name,
      role: hello.role,
      publicKey,
      admission: admit === "auto" ? "admitted" : "pending",
      spare: 0,
      version: "",
      interfacesJson: "[]",
      dataAddressesJson: "[]",
      quotaBytes: admit === "auto"
        ? hostQuotaBytes ?? HOST_QUOTA_BYTES_DEFAULT
        : Number.MAX_SAFE_INTEGER,
      joinedMs: world.clock.wallMs(),
    }, hello);
  }

  async #put(before: NodeRow | null, row: NodeRow): Promise<void> {
    if (before !== null && JSON.stringify(before) === JSON.stringify(row)) return;
    const isMoved = before !== null && before.dataAddressesJson !== row.dataAddressesJson;
    const maps = isMoved ? this.#o.movedMaps(row.id) : [];
    await this.#o.catalog.commit([{ table: "nodes", put: row }, ...maps]);
    if (isMoved) this.#o.onMoved(row);
  }

  #entered(row: NodeRow, before: NodeRow | null): void {
    const presence = this.#presence.get(row.id);
    const now = this.row(row.id);
    if (presence === undefined || now === null || now.admission === "revoked") return;
    const { name, role } = row;
    if (now.admission === "pending") {
      presence.state = "pending";
      const text = `The ${role} "${name}" asks to join. Approve it with: ` +
        `dvsan ctl node approve ${name}`;
      this.#say("pending", row, { severity: "warn", text });
    } else {
      presence.state = "joining";
      if (before === null) {
        const text = `The ${role} "${name}" was admitted.`;
        this.#say("admitted", row, { severity: "info", text });
      }
      this.#o.onPresent(row);
    }
    this.#o.onChange();
  }

  /** A unit's storage is in the pool, or a host is told about its disks. */
  pooled(id: string): void {
    const presence = this.#presence.get(id);
    const row = this.row(id);
    if (presence?.state !== "joining" || row === null) return;
    const now = this.#o.world.clock.nowMs();
    presence.state = "online";
    presence.joinMs = now - (presence.announcedMs ?? now);
    presence.awayUntilMs = null;
    const what = row.role === "unit" ? "is in the pool" : "is connected";
    const text = `The ${row.role} "${row.name}" ${what}, ${Math.round(presence.joinMs)} ms after ` +
      "it announced itself.";
    this.#say("joined", row, { severity: "info", text });
    this.#o.onChange();
  }

  heard(id: string): void {
    const presence = this.#presence.get(id);
    if (presence === undefined) return;
    presence.lastHeardMs = this.#o.world.clock.nowMs();
    // A node whose record is being written is not back: it has yet to enter.
    if (!wasAway(presence) || this.#entering.has(id)) return;
    const row = this.row(id);
    if (row === null || this.#o.link().node(id) === null) return;
    presence.state = "joining";
    presence.announcedMs = presence.lastHeardMs;
    this.#say("back", row, { severity: "info", text: `The ${row.role} "${row.name}" is back.` });
    this.#o.onPresent(row);
  }

  heartbeat(id: string, body: RequestBody<"HEARTBEAT">): void {
    this.heard(id);
    const presence = this.#presence.get(id);
    const row = this.row(id);
    if (presence === undefined || row === null) return;
    presence.figures = { ...body.figures, errors: totalOf(body.figures.errors) };
    presence.load.heard(body, this.#o.world.clock.nowMs());
    const moved = { ...row, dataAddressesJson: JSON.stringify(body.dataAddresses) };
    this.#put(row, moved).catch((error) =>
      this.#o.world.log.error(`Cannot keep addresses of "${row.name}": ${messageOf(error)}`)
    );
  }

  goodbye(id: string, body: RequestBody<"UNIT_SHUTDOWN">): void {
    const presence = this.#presence.get(id);
    const row = this.row(id);
    if (presence === undefined || row === null || row.admission !== "admitted") return;
    presence.state = body.awayMs > 0 ? "leaving" : "gone";
    presence.awayReason = body.reason;
    presence.goodbyeMs = this.#o.world.clock.nowMs();
    presence.awayUntilMs = this.#o.world.clock.nowMs() + body.awayMs;
    const back = body.awayMs > 0
      ? `expects to be back within ${timeText(body.awayMs)}`
      : "does not expect to be back";
    const text = `The ${row.role} "${row.name}" said goodbye (${body.reason}) and ${back}.`;
    this.#say("goodbye", row, { severity: body.planned ? "info" : "warn", text });
    this.#o.onChange();
  }

  /** What time alone changes. */
  tick(): void {
    const now = this.#o.world.clock.nowMs();
    this.#silences.tick(now);
    for (const [id, presence] of this.#presence) {
      const row = this.row(id);
      if (row === null) continue;
      const silent = this.#silences.of(presence);
      if (silent !== null) {
        presence.state = "silent";
        const text = `The ${row.role} "${row.name}" is silent: nothing heard for ${silent}.`;
        this.#say("silent", row, { severity: "error", text });
      }
      if (presence.state === "leaving" && now >= (presence.awayUntilMs ?? now)) {
        presence.state = "gone";
        const text = `The ${row.role} "${row.name}" is not back within the time it announced.`;
        this.#say("gone", row, { severity: "error", text });
      }
    }
    this.#o.onChange();
  }

  async approve(row: NodeRow): Promise<void> {
    await this.#o.catalog.commit([{ table: "nodes", put: { ...row, admission: "admitted" } }]);
    const text = `The ${row.role} "${row.name}" was approved.`;
    this.#say("approved", row, { severity: "info", text });
    const presence = this.#presence.get(row.id);
    if (presence === undefined) return;
    presence.state = this.#o.link().node(row.id) === null ? "silent" : "joining";
    presence.announcedMs = this.#o.world.clock.nowMs();
    if (presence.state === "joining") this.#o.onPresent(row);
  }

  /** After the catalog says "revoked". */
  revoked(row: NodeRow): void {
    const presence = this.#presence.get(row.id);
    if (presence !== undefined) presence.state = "revoked";
    this.#o.link().drop(row.id);
    this.#o.onChange();
  }

  /** Why a node is not fully there, in words; null when it is. */
  reason(id: string): string | null {
    const presence = this.#presence.get(id);
    if (presence === undefined) return "not known";
    const nowMs = this.#o.world.clock.nowMs();
    const hasSession = this.#o.link().node(id) !== null;
    const copied = this.isCopied(id) ? "its identity is used by two processes" : null;
    return absenceReason(presence, { nowMs, hasSession }) ?? copied;
  }

  #say(kind: string, row: NodeRow, what: { severity: "info" | "warn" | "error"; text: string }) {
    this.#o.events.say({ kind: `node.${kind}`, subject: row.name, ...what });
  }
}
