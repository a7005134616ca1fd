import assert from "node:assert/strict";
import { testWith } from "../needs.ts";
import type { Outcome } from "./lab.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** `{}` is a directory of the test's own, with a file "token", a medium and a directory in it. */
const REFUSED: readonly (readonly [argv: string, code: 1 | 2, message: RegExp])[] = [
  ["", 2, /A command is missing\. Run "dvsan --help"/],
  ["frobnicate", 2, /No command is called "frobnicate"/],
  ["disk", 2, /"dvsan disk" needs a command/],
  ["disk creat db", 2, /Did you mean "create"\?/],
  ["disk create", 2, /NAME|--size/],
  ["disk create a/b --size 1G", 2, /NAME "a\/b"/],
  ["disk create db --size 8Q", 2, /as in 80GB \(decimal\) or 80GiB/],
  ["disk create db --size 0", 2, /it must be above zero/],
  ["disk create db --size -1G", 2, /a size is wanted/],
  ["disk create db --siz 1G", 2, /no flag --siz\. Did you mean "--size"\?/],
  ["disk list --state {}/nothing", 1, /Start dvsan host/],
  ["disk create db --size 1G --state {}/nothing", 1, /Start dvsan host/],
  ["ctl", 2, /"dvsan ctl" needs a command/],
  ["ctl pool --token-file {}/none", 2, /{}\/none: it does not exist/],
  ["ctl pool --token-file {}/token --station http://127.0.0.1:1", 1, /Cannot reach the station/],
  ["ctl pool --token-file {}/token --station frob", 2, /a web address is wanted/],
  ["unit", 2, /--station is missing/],
  ["unit --station s", 2, /--device is missing/],
  ["unit --station s --device {}/none", 2, /--device {}\/none: it does not exist/],
  ["unit --station s --device {}/medium --wipe {}/token", 2, /it is no --device/],
  ["unit --station s --device {}/medium --state {}/u", 2, /copy unit\.key/],
  ["unit --station s --device {}/medium --state {}/u --key {}/none", 2, /--key {}\/none/],
  ["unit --station s --device {}/medium --state {}/u --key {}/token", 1, /Copy unit\.key/],
  ["unit --export a", 2, /NAME=PATH is wanted/],
  ["unit --export a={}/none", 2, /--export {}\/none: it does not exist/],
  ["unit --export a={}/directory --nbd 127.0.0.1:0", 1, /it is a directory/],
  ["unit --export a={}/medium --nbd 127.0.0.1", 2, /a port is missing/],
  ["unit --export a={}/medium --nbd 192.0.2.1:0", 1, /192\.0\.2\.1/],
  ["host --state {}/h", 2, /--station is missing/],
  ["host --state {}/h --station s --io-timeout soon", 2, /as in 500ms, 30s/],
  ["host --state {}/h --station s --io-timeout 0s", 2, /it is shorter than 1 s/],
  ["host --state {}/h --station s --io-timeout 400d", 2, /it is longer than a year/],
  ["host --state {}/h --station s --reply-timeout 0s", 2, /it is shorter than 100 ms/],
  ["host --state {}/h --station s --advertise 0.0.0.0", 2, /stands for every address/],
  ["host --state {}/h --station ff02::1", 2, /no address of a single machine/],
  ["unit --export a={}/medium --nbd 224.0.0.1:0", 2, /no address of a single machine/],
  ["unit --export a=/dev/null --nbd 127.0.0.1:0", 1, /neither a regular file nor a block device/],
  ["host --state {}/h --station s", 2, /copy host\.key/],
  ["station --state {}/medium", 2, /state directory {}\/medium/],
  ["station --state {}/s --control 192.0.2.1:0", 1, /Choose another --control address/],
  ["station --state {}/s --admit maybe", 2, /auto, approve/],
  ["station --config {}/none", 2, /{}\/none/],
];

Deno.test("e2e: wrong usage is one line that says what to do, and nothing on stdout", async (t) => {
  const directory = Deno.makeTempDirSync({ prefix: "dvsan-usage-" });
  try {
    Deno.writeTextFileSync(`${directory}/token`, "a-token\n");
    Deno.truncateSync(`${directory}/token`, 8);
    Deno.writeFileSync(`${directory}/medium`, new Uint8Array(2 ** 24));
    Deno.mkdirSync(`${directory}/directory`);
    for (const [argv, code, message] of REFUSED) {
      await t.step(`dvsan ${argv}`, async () => {
        const outcome = await dvsan(argv.replaceAll("{}", directory));
        assert.equal(outcome.code, code, outcome.stderr);
        assert.equal(outcome.stdout, "");
        assert.match(outcome.stderr.replaceAll(directory, "{}"), message);
        assert.match(outcome.stderr, /^dvsan: [^\n]+\n$/, "one line");
      });
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("e2e: --help and --version answer on stdout with status 0", async () => {
  for (const argv of ["--help", "help", "unit --help", "disk create --help", "ctl --help"]) {
    const { code, stdout, stderr } = await dvsan(argv);
    assert.deepEqual([code, stderr], [0, ""], argv);
    assert.match(stdout, /^Usage: dvsan|dvsan/, argv);
  }
  assert.match((await dvsan("--version")).stdout, /^dvsan \d+\.\d+\.\d+\n$/);
});

testWith({
  name: "e2e: listing into a closed pipe is no failure",
  needs: { tools: ["bash", "head"] },
  fn: async () => {
    const script = `set -o pipefail; "$0" run -A --quiet "$1" unit --help | head -n 1`;
    const { code, stdout } = await run("bash", ["-c", script, Deno.execPath(), MAIN]);
    assert.equal(code, 0);
    assert.match(stdout, /dvsan unit/);
  },
});

function dvsan(argv: string): Promise<Outcome> {
  const words = argv.split(" ").filter((word) => word !== "");
  return run(Deno.execPath(), ["run", "-A", "--quiet", MAIN, ...words]);
}

async function run(command: string, args: string[]): Promise<Outcome> {
  const child = new Deno.Command(command, { args, stdin: "null", env: { NO_COLOR: "1" } });
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
