import assert from "node:assert/strict";
import type { z } from "zod";
import { MIB } from "../../protocol/core/limits.ts";
import type { DiskSummary } from "../../roles/host/disk_service.ts";
import type {
  DiskView,
  EventRecord,
  HostView,
  TaskRecord,
  UnitView,
  VolumeView,
} from "../../web/station_api.ts";
import { waitFor } from "../wait.ts";
import { Lab, type Outcome } from "./lab.ts";
import type { Member } from "./member.ts";

interface Views {
  units: z.infer<typeof UnitView>[];
  hosts: z.infer<typeof HostView>[];
  volumes: z.infer<typeof VolumeView>[];
  disks: z.infer<typeof DiskView>[];
  tasks: z.infer<typeof TaskRecord>[];
  events: z.infer<typeof EventRecord>[];
}

/** A station, units and hosts on machines of their own; the machine has the member's name. */
export class Cluster implements AsyncDisposable {
  readonly lab: Lab;
  readonly members = new Map<string, Member>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** A running station, and no node yet. */
  static async create(...stationFlags: string[]): Promise<Cluster> {
    const cluster = new Cluster(await Lab.create());
    try {
      await cluster.start("station", ["station", "--state", cluster.state("station"), ...[
        "--web",
        "127.0.0.1:8080",
        ...stationFlags,
      ]]);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  state(name: string): string {
    return `${this.lab.directory}/${name}`;
  }

  /** Starts a member on the machine of its name. */
  async start(name: string, flags: readonly string[]): Promise<Member> {
    const member = await this.lab.start(name, flags);
    this.members.set(name, member);
    return member;
  }

  /** Starts it again with the flags it had, after it has ended. */
  async restart(name: string): Promise<Member> {
    return await this.start(name, this.member(name).flags);
  }

  member(name: string): Member {
    const member = this.members.get(name);
    assert.ok(member, `no member ${name}`);
    return member;
  }

  /** A unit with file-backed media of these sizes; joined and zeroed when it resolves. */
  async unit(name: string, mediaMib: readonly number[], ...flags: string[]): Promise<Member> {
    const devices = mediaMib.flatMap((sizeMib, index) => [
      "--device",
      this.lab.file(`${name}-${index}.img`, sizeMib * MIB),
    ]);
    const member = await this.start(name, [
      "unit",
      ...this.nodeFlags(name, "unit.key"),
      ...devices,
      ...flags,
    ]);
    await this.untilPooled(name);
    return member;
  }

  /** A host that has joined. */
  async host(name: string, ...flags: string[]): Promise<Member> {
    const member = await this.start(name, [
      "host",
      ...this.nodeFlags(name, "host.key"),
      ...flags,
    ]);
    await this.untilState(name, "online");
    return member;
  }

  nodeFlags(name: string, key: string): string[] {
    return [
      ...["--state", this.state(name), "--station", "10.77.0.1", "--name", name],
      ...["--key", `${this.state("station")}/${key}`],
    ];
  }

  async untilPooled(name: string): Promise<void> {
    await waitFor(`${name} to be pooled`, async () => {
      const unit = (await this.view("units")).find((one) => one.name === name);
      return unit?.state === "online" && unit.zeroedBytes > 0 &&
        unit.zeroedBytes === unit.freeBytes;
    });
  }

  async untilState(name: string, state: string): Promise<void> {
    await waitFor(`${name} to be ${state}`, async () => {
      const nodes = [...await this.view("units"), ...await this.view("hosts")];
      return nodes.some((one) => one.name === name && one.state === state);
    });
  }

  /** What `dvsan ctl NAME --json` prints. */
  async view<N extends keyof Views>(name: N): Promise<Views[N]> {
    return JSON.parse(await this.ctl(name, "--json"));
  }

  ctl(...flags: string[]): Promise<string> {
    const token = `${this.state("station")}/admin.token`;
    return this.lab.must("station", "ctl", ...flags, "--token-file", token);
  }

  /** `dvsan disk FLAGS` on a host. */
  disk(host: string, ...flags: string[]): Promise<Outcome> {
    return this.lab.dvsan(host, "disk", ...flags, "--state", this.state(host));
  }

  /** Creates a disk; its URI, from the last line. */
  async createDisk(host: string, name: string, size: string): Promise<string> {
    const { code, stdout, stderr } = await this.disk(host, "create", name, "--size", size);
    assert.equal(code, 0, stderr);
    const uri = stdout.trimEnd().split("\n").at(-1) ?? "";
    assert.match(uri, /^nbd\+unix:\/\/\/\?socket=/);
    return uri;
  }

  async showDisk(host: string, name: string): Promise<DiskSummary> {
    const { code, stdout, stderr } = await this.disk(host, "show", name, "--json");
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
