import { z } from "zod";
import { dvsan, output, Running, until } from "./processes.ts";

const StationReady = z.object({ control: z.string(), web: z.string() });
const Units = z.array(z.object({ name: z.string(), state: z.string(), sizeBytes: z.number() }));

/** A station of its own on loopback, and the units and hosts that are added to it. */
export class Pool implements AsyncDisposable {
  readonly #directory: string;
  readonly #station: z.infer<typeof StationReady>;
  readonly #token: string;
  readonly #processes: AsyncDisposableStack;

  private constructor(
    directory: string,
    station: z.infer<typeof StationReady>,
    processes: AsyncDisposableStack,
  ) {
    this.#directory = directory;
    this.#station = station;
    this.#token = Deno.readTextFileSync(`${directory}/station/admin.token`).trim();
    this.#processes = processes;
  }

  static async start(directory: string): Promise<Pool> {
    await using processes = new AsyncDisposableStack();
    const station = processes.use(
      new Running(dvsan(
        "station",
        ...["--state", `${directory}/station`],
        ...["--control", "127.0.0.1:0"],
        ...["--web", "127.0.0.1:0"],
      )),
    );
    const ready = StationReady.parse(JSON.parse(await station.firstLine));
    return new Pool(directory, ready, processes.move());
  }

  /** A unit whose medium is a new sparse file; it may not be up yet. */
  unit(name: string, sizeBytes: number): Running {
    const path = `${this.#directory}/${name}.img`;
    using file = Deno.openSync(path, { write: true, createNew: true });
    file.truncateSync(sizeBytes);
    return this.#node("unit", name, ["--device", path, "--nbd", "127.0.0.1:0"]);
  }

  host(name: string): Running {
    return this.#node("host", name, []);
  }

  hostState(name: string): string {
    return `${this.#directory}/${name}`;
  }

  /** Waits until the pool has the space of so many units. */
  async pooled(count: number): Promise<void> {
    await until(`${count} units in the pool`, async () => {
      const response = await fetch(`${this.#station.web}/api/v1/units`, {
        headers: { Authorization: `Bearer ${this.#token}` },
      });
      const units = Units.parse(await response.json());
      const ready = units.filter(({ state, sizeBytes }) => state === "online" && sizeBytes > 0);
      return ready.length >= count ? true : null;
    });
  }

  /** Asks for a disk as an operator would; its socket's URI. */
  async createDisk(host: string, name: string, size: string): Promise<string> {
    const state = this.hostState(host);
    const text = await output(dvsan("disk", "create", name, "--size", size, "--state", state));
    return text.trim().split("\n").at(-1) ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.disposeAsync();
  }

  #node(role: "unit" | "host", name: string, flags: readonly string[]): Running {
    return this.#processes.use(
      new Running(dvsan(
        role,
        ...["--state", `${this.#directory}/${name}`],
        ...["--key", `${this.#directory}/station/${role}.key`],
        ...["--station", this.#station.control],
        ...["--control", "127.0.0.1:0"],
        ...["--name", name],
        ...flags,
      )),
    );
  }
}
