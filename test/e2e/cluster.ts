import assert from "node:assert/strict";
import type { z } from "zod";
import { MIB } from "../../protocol/core/limits.ts";
import { readToken, StationClient } from "../../roles/ctl/client.ts";
import type { DiskSummary } from "../../roles/host/disk_summary.ts";
import { callLocal, LOCAL_SOCKET } from "../../roles/host/local_call.ts";
import { HttpClient } from "../../roles/process/http.ts";
import {
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
}

const VIEWS: { readonly [N in keyof Views]: z.ZodType<Views[N]> } = {
  units: UnitView.array(),
  hosts: HostView.array(),
  volumes: VolumeView.array(),
  disks: DiskView.array(),
  tasks: TaskRecord.array(),
};

/** The station's machine is the lab's first. */
export const STATION_ADDRESS = "10.77.0.1";

/** A station, units and hosts on machines of their own; the machine has the member's name. */
export class Cluster implements AsyncDisposable {
  readonly lab: Lab;
  readonly members = new Map<string, Member>();
  /** Paths of the media of each unit that `unit` started. */
  readonly media = new Map<string, readonly string[]>();
  /** What nodes started from now on are told about the station. */
  station = STATION_ADDRESS;
  /** The machine whose station is asked and told. */
  #stationName = "station";
  readonly #http = new HttpClient();
  #api: StationClient | null = null;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** A running station, and no node yet. */
  static async create(...stationFlags: string[]): Promise<Cluster> {
    const cluster = new Cluster(await Lab.create());
    try {
      await cluster.startStation("station", ...stationFlags);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Starts a station on the machine of that name, with the state directory that it has there. */
  async startStation(name: string, ...flags: string[]): Promise<void> {
    const web = ["--web", "127.0.0.1:8080"];
    await this.start(name, ["station", "--state", this.state(name), ...web, ...flags]);
    await this.lab.peer(name, "relay", this.#webSocket(name), "127.0.0.1", "8080");
  }

  /** Asks and tells the station on that machine from now on: one with the same key. */
  follow(name: string): void {
    this.#stationName = name;
    this.forgetToken();
  }

  /** Where a station's web port can be reached from the test's own process. */
  #webSocket(name: string): string {
    return `${this.lab.directory}/web-${name}.sock`;
  }

  state(name: string): string {
    return `${this.lab.directory}/${name}`;
  }

  /** Of the station that is asked and told. */
  get stationState(): string {
    return this.state(this.#stationName);
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
    const member = await this.start(name, [...this.unitFlags(name, mediaMib), ...flags]);
    await this.untilPooled(name);
    return member;
  }

  /** What `dvsan` is given for a unit with new media of these sizes. */
  unitFlags(name: string, mediaMib: readonly number[]): string[] {
    const media = mediaMib.map((sizeMib, index) =>
      this.lab.file(`${name}-${index}.img`, sizeMib * MIB)
    );
    this.media.set(name, media);
    const devices = media.flatMap((path) => ["--device", path]);
    return ["unit", ...this.nodeFlags(name, "unit.key"), ...devices];
  }

  /** A host that has joined. */
  async host(name: string, ...flags: string[]): Promise<Member> {
    const member = await this.start(name, ["host", ...this.nodeFlags(name, "host.key"), ...flags]);
    await this.untilState(name, "online");
    return member;
  }

  /** "--station" is the cluster's `station`. */
  nodeFlags(name: string, key: string): string[] {
    return [
      ...["--state", this.state(name), "--station", this.station, "--name", name],
      ...["--key", `${this.stationState}/${key}`],
    ];
  }

  async untilPooled(name: string): Promise<void> {
    await waitFor(`${name} to be pooled`, async () => {
      const unit = (await this.view("units")).find((one) => one.name === name);
      return unit?.state === "online" && unit.zeroedBytes === unit.freeBytes &&
        unit.sizeBytes > 0;
    });
  }

  /** Waits for a medium of the unit to be in that state; its id. */
  async untilMedium(unit: string, state: string): Promise<string> {
    return await waitFor(`a medium of ${unit} to be ${state}`, async () => {
      const found = (await this.view("units")).find(({ name }) => name === unit);
      if (found?.state !== "online") return null;
      return found.media.find((medium) => medium.state === state)?.id ?? null;
    });
  }

  async untilState(name: string, state: string): Promise<void> {
    await waitFor(`${name} to be ${state}`, async () => {
      const nodes = [...await this.view("units"), ...await this.view("hosts")];
      const found = nodes.find((one) => one.name === name)?.state;
      if (found !== state) throw new Error(`it is ${found}`);
      return true;
    });
  }

  /** The station's API, through its machine's loopback. */
  get api(): StationClient {
    const socketPath = this.#webSocket(this.#stationName);
    this.#api ??= new StationClient({
      station: "http://127.0.0.1:8080",
      token: readToken(`${this.stationState}/admin.token`, { readFile: Deno.readFileSync }),
      fetch: (request) => this.#http.fetch(request, { socketPath }),
    });
    return this.#api;
  }

  /** The station has a new state directory, with other tokens. */
  forgetToken(): void {
    this.#api = null;
  }

  async view<N extends keyof Views>(name: N): Promise<Views[N]> {
    return await this.api.get(`/${name}`, VIEWS[name]);
  }

  async events(): Promise<EventRecord[]> {
    return await this.api.get("/events?after=0&limit=1000", EventRecord.array());
  }

  /** `dvsan ctl FLAGS` on its station's machine. */
  ctl(...flags: string[]): Promise<Outcome> {
    const token = `${this.stationState}/admin.token`;
    return this.lab.dvsan(this.#stationName, "ctl", ...flags, "--token-file", token);
  }

  /** As `ctl`, which must succeed; what it printed. */
  async mustCtl(...flags: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.ctl(...flags);
    assert.equal(code, 0, `dvsan ctl ${flags.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** `dvsan disk FLAGS` on a host. */
  disk(host: string, ...flags: string[]): Promise<Outcome> {
    return this.lab.dvsan(host, "disk", ...flags, "--state", this.state(host));
  }

  /** As `disk`, which must succeed; what it printed. */
  async mustDisk(host: string, ...flags: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.disk(host, ...flags);
    assert.equal(code, 0, `dvsan disk ${flags.join(" ")} on ${host}: ${stderr}`);
    return stdout;
  }

  /** Creates a disk; its URI, from the last line. */
  async createDisk(host: string, name: string, size: string): Promise<string> {
    const stdout = await this.mustDisk(host, "create", name, "--size", size);
    const uri = stdout.trimEnd().split("\n").at(-1) ?? "";
    assert.match(uri, /^nbd\+unix:\/\/\/\?socket=/);
    return uri;
  }

  /** As `dvsan disk show NAME` and `list`, asked of the agent itself. */
  async showDisk(host: string, name: string): Promise<DiskSummary> {
    return await this.#ask(host, "show", { name, direct: false }) as DiskSummary;
  }

  async listDisks(host: string): Promise<DiskSummary[]> {
    return await this.#ask(host, "list", null) as DiskSummary[];
  }

  async untilDisk(host: string, name: string, state: DiskSummary["state"]): Promise<DiskSummary> {
    return await waitFor(`disk ${name} to be ${state} on ${host}`, async () => {
      const disk = await this.showDisk(host, name);
      if (disk.state !== state) throw new Error(`it is ${JSON.stringify(disk)}`);
      return disk;
    });
  }

  #ask(host: string, command: string, params: unknown): Promise<unknown> {
    return callLocal({
      fetch: (request, options) => this.#http.fetch(request, options),
      socketPath: `${this.state(host)}/${LOCAL_SOCKET}`,
      call: { command, params },
      progress: () => {},
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.close();
    await this.lab[Symbol.asyncDispose]();
  }
}
