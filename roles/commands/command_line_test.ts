import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { defineCommand } from "../process/commands.ts";
import { interpret } from "../process/command_line.ts";
import {
  endpointFlag,
  pathFlag,
  repeatable,
  required,
  sizeFlag,
  switchFlag,
  withDefault,
} from "../process/flags.ts";
import { COMMANDS } from "./table.ts";

interface Options {
  readonly environment?: Record<string, string>;
  readonly toml?: string;
}

/** What `dvsan ARGV` would run: the command's settings, for commands of this test's own. */
async function settingsOf(argv: string, options: Options = {}): Promise<unknown> {
  let settings: unknown;
  const serve = defineCommand({
    name: "serve",
    summary: "Serve",
    flags: {
      nbd: withDefault(endpointFlag("Where"), "127.0.0.1:1"),
      device: repeatable(pathFlag("PATH", "What")),
      "read-only": switchFlag("No writes"),
    },
    settings: ({ flags, origin }) => ({ ...flags, origin: origin("nbd") }),
    run: (given) => Promise.resolve(void (settings = given)),
  });
  const make = defineCommand({
    name: "thing create",
    summary: "Make",
    flags: { size: required(sizeFlag("Size")) },
    positionals: [{ name: "NAME", parse: (text) => ({ value: text }) }],
    settings: ({ flags, words }) => ({ size: flags.size.sizeBytes, words }),
    run: (given) => Promise.resolve(void (settings = given)),
  });
  const interpreted = interpret(argv.split(" "), {
    commands: [serve, make],
    environment: options.environment ?? {},
    readFile: () => utf8(options.toml ?? ""),
    version: "1",
    nodeName: "here",
  });
  assert.equal(interpreted.kind, "run");
  if (interpreted.kind === "run") await interpreted.run(undefined as never);
  return settings;
}

Deno.test("interpret() takes flags before environment, file and defaults", async () => {
  const toml = '[serve]\nnbd = "127.0.0.1:2"\ndevice = ["/a", "/b,c"]\nread-only = true\n';
  const environment = { DVSAN_NBD: "127.0.0.1:3" };
  const nbd = async (argv: string, options?: Options) => {
    const { nbd, origin } = await settingsOf(argv, options) as {
      nbd: { port: number };
      origin: string;
    };
    return [nbd.port, origin];
  };
  assert.deepEqual(await nbd("serve"), [1, "default"]);
  assert.deepEqual(await nbd("serve --config f", { toml }), [2, "file"]);
  assert.deepEqual(await nbd("serve --config f", { toml, environment }), [3, "environment"]);
  const all = "serve --nbd=127.0.0.1:4 --config f";
  assert.deepEqual(await nbd(all, { toml, environment }), [4, "flag"]);
});

Deno.test("interpret() gathers repeated flags, from each source", async () => {
  const devices = async (argv: string, options?: Options) => {
    return (await settingsOf(argv, options) as { device: string[] }).device;
  };
  assert.deepEqual(await devices("serve"), []);
  assert.deepEqual(await devices("serve --device /a --device=/b"), ["/a", "/b"]);
  assert.deepEqual(await devices("serve", { environment: { DVSAN_DEVICE: "/a,/b" } }), [
    "/a",
    "/b",
  ]);
  const toml = 'device = ["/a", "/b,c"]';
  assert.deepEqual(await devices("serve --config f", { toml }), ["/a", "/b,c"]);
});

Deno.test("interpret() takes flags anywhere between the words", async () => {
  const expected = { size: 8192, words: ["x"] };
  for (const argv of ["thing create x --size 8K", "thing --size 8K create x"]) {
    assert.deepEqual(await settingsOf(argv), expected);
  }
});

const REFUSED: readonly (readonly [argv: string, message: RegExp, toml?: string])[] = [
  ["serv", /No command is called "serv". Did you mean "serve"\?/],
  ["thing", /"dvsan thing" needs a command/],
  ["thing crate x", /No command is called "thing crate x". Did you mean "create"\?/],
  ["serve --devise /a", /no flag --devise. Did you mean "--device"\?/],
  ["serve --size 1G", /"dvsan serve" has no flag --size/],
  ["serve --nbd", /Cannot use --nbd: its value is missing/],
  ["serve --nbd x", /Cannot use --nbd "x": /],
  ["serve --nbd 1.1.1.1:1 --nbd 1.1.1.1:2", /give it once/],
  ["serve extra", /"extra" is one word too many/],
  ["serve --no-read-only", /no flag --no-read-only/],
  ["thing create x", /--size is missing. Give --size SIZE or set DVSAN_SIZE/],
  ["thing create --size 1G", /NAME is missing/],
  ["thing create x --size 8Q", /Cannot use --size "8Q": a size is wanted/],
  ["serve --config f", /configuration f line 2: no setting is called "nbdd". Did/, "\nnbdd = 1"],
  ["serve --config f", /f line 1: no section is called \[serv\]. Did you/, "[serv]\nnbd = 1"],
  ["serve --config f", /f line 2: no setting is called "size"/, "[serve]\nsize = 1"],
  ["serve --config f", /f line 1: /, "nbd = "],
  ["serve --config f", /"nbd" in f line 2 "x": /, '[serve]\nnbd = "x"'],
  ["serve --config f", /must be text, a number or true/, "nbd = 2020-01-01"],
];

for (const [argv, message, toml] of REFUSED) {
  Deno.test(`interpret() refuses "${argv}"${toml === undefined ? "" : ` with ${toml}`}`, async () => {
    await assert.rejects(settingsOf(argv, toml === undefined ? {} : { toml }), (error) => {
      assert.ok(error instanceof DvsanError && error.code === "usage", String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"), "one line");
      return true;
    });
  });
}

function textOf(argv: string, environment: Record<string, string> = {}): string {
  const interpreted = interpret(argv.split(" "), {
    commands: COMMANDS,
    environment,
    readFile: () => utf8('[unit]\nnbd = "127.0.0.1:7"\n'),
    version: "1.2.3",
    nodeName: "here",
  });
  assert.equal(interpreted.kind, "print", argv);
  return interpreted.kind === "print" ? interpreted.text : "";
}

Deno.test("every command has help that names each of its flags", () => {
  for (const command of COMMANDS) {
    const text = textOf(`${command.name} --help`);
    assert.equal(textOf(`help ${command.name}`), text);
    for (const name of Object.keys(command.flags)) assert.ok(text.includes(`--${name}`), name);
  }
  for (const group of ["disk", "ctl", "ctl disk", "ctl node", "config"]) {
    assert.match(textOf(`${group} --help`), new RegExp(`Usage: dvsan ${group} COMMAND`));
  }
  assert.match(textOf("--help"), /Usage: dvsan COMMAND/);
  assert.equal(textOf("--version"), "dvsan 1.2.3");
});

Deno.test("every default can be parsed, and a flag means the same in a whole group", () => {
  const kinds = new Map<string, boolean>();
  for (const command of COMMANDS) {
    for (const [name, flag] of Object.entries(command.flags)) {
      const key = `${command.section} ${name}`;
      const isSwitch = flag.argument === null;
      assert.equal(kinds.get(key) ?? isSwitch, isSwitch, key);
      kinds.set(key, isSwitch);
      if (flag.defaultText !== null) assert.equal(typeof flag.parse(flag.defaultText), "object");
    }
  }
});

Deno.test("config show tells where each setting comes from", () => {
  const text = textOf("config show unit --state /x --config f", { DVSAN_STATION: "s" });
  assert.match(text, /^\[unit\]$/m);
  assert.match(text, /^state +\/x +flag: --state$/m);
  assert.match(text, /^station +s +environment: DVSAN_STATION$/m);
  assert.match(text, /^nbd +127\.0\.0\.1:7 +file: "nbd" in f line 2$/m);
  assert.match(text, /^control +0\.0\.0\.0:10810 +default$/m);
  const shown = JSON.parse(textOf("config show --json", { DVSAN_STATE: "/y" }));
  assert.deepEqual(Object.keys(shown), ["station", "unit", "host"]);
  assert.equal(shown.host.state.value, "/y");
  assert.equal(shown.host.station.problem, "needed");
});

/** The message with which dvsan's own table refuses. */
function refusal(argv: string, environment: Record<string, string> = {}): string {
  try {
    interpret(argv.split(" "), {
      commands: COMMANDS,
      environment,
      readFile: () => utf8(""),
      version: "1",
      nodeName: "here",
    });
  } catch (error) {
    assert.ok(error instanceof DvsanError && error.code === "usage", String(error));
    return error.message;
  }
  return "";
}

Deno.test("dvsan unit says which flags do not go together", () => {
  assert.match(refusal("unit --device /dev/null"), /--station is missing/);
  assert.match(refusal("unit --station s"), /--device is missing/);
  assert.match(refusal("unit --station s --device /none"), /--device \/none: it does not exist/);
  assert.match(
    refusal("unit --station s --device /dev/null --device /none"),
    /--device \/none: it does not exist/,
  );
  assert.match(refusal("unit --export a=/none"), /--export \/none: it does not exist/);
  const both = "unit --export a=/dev/null --state /x";
  assert.match(refusal(both), /Cannot use --export with --state/);
  assert.equal(refusal("unit --export a=/dev/null", { DVSAN_STATE: "/x" }), "");
  const wipe = "unit --station s --device /dev/null --wipe /dev/zero";
  assert.match(refusal(wipe), /Cannot wipe \/dev\/zero: it is no --device/);
  assert.equal(refusal("unit --station s --device /dev/null --wipe /dev/null"), "");
  assert.match(
    refusal("unit --station s --device /dev/null --wipe-medium sdb"),
    /no id of a medium/,
  );
});

Deno.test("dvsan unit starts without a dead device once it has served media", () => {
  const state = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${state}/label-sequences.json`, "{}");
  const start = `unit --station s --state ${state} --device /none`;
  assert.equal(refusal(`${start} --device /dev/null`), "");
  assert.match(refusal(start), /--device \/none: it does not exist/);
  Deno.removeSync(state, { recursive: true });
});

Deno.test("ctl takes a disk as HOST/NAME, as the station's message says", () => {
  const read = (name: string) =>
    interpret(["ctl", "disk", "release", name], {
      commands: COMMANDS,
      environment: {},
      readFile: () => new Uint8Array(),
      version: "1",
      nodeName: "n",
    });
  assert.equal(read("h1/db").kind, "run");
  assert.equal(read("db").kind, "run");
  for (const bad of ["a/b/c", "/db", "h1/", "../db"]) {
    assert.throws(() => read(bad), DvsanError, bad);
  }
});
