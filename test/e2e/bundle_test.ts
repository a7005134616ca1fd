import assert from "node:assert/strict";
import { makePki } from "../interop/tls_pki.ts";
import { testWith } from "../needs.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** What a bundle runs with: nothing but the runtime and itself. */
const ALONE = ["--no-config", "--no-lock", "--no-remote", "--no-npm", "--cached-only"];
const SIZE_BYTES = 8 * 1024 * 1024;

for (const io of ["uring", "epoll"]) {
  testWith({
    name: `one bundle is the whole program (${io}): unit, data worker, TLS worker, epoll's helper`,
    needs: { tools: ["qemu-io", "openssl"], uring: io === "uring" },
    async fn(t) {
      const folder = Deno.makeTempDirSync({ prefix: "dvsan-bundle-" });
      try {
        const bundle = `${folder}/program/dvsan.js`;
        Deno.mkdirSync(`${folder}/program`);
        const made = run(Deno.execPath(), ["bundle", "--quiet", "-o", bundle, `${ROOT}main.ts`]);
        assert.ok(made.success, made.text);
        assert.ok(!Deno.readTextFileSync(bundle).includes(ROOT), "it names nothing of the sources");
        await t.step("by itself", () => serveAndUse({ bundle, folder, io, tls: false }));
        await makePki(folder);
        await t.step("with TLS", () => serveAndUse({ bundle, folder, io, tls: true }));
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    },
  });
}

/** Serves a file from an empty folder; writes with FUA, flushes and zeroes, as a client does. */
async function serveAndUse(
  { bundle, folder, io, tls }: { bundle: string; folder: string; io: string; tls: boolean },
): Promise<void> {
  const empty = `${folder}/empty-${io}-${tls}`;
  const medium = `${folder}/medium-${io}-${tls}`;
  const pki = `${folder}/good`;
  Deno.mkdirSync(empty);
  Deno.writeFileSync(medium, new Uint8Array(SIZE_BYTES));
  const flags = ["unit", "--export", `disk=${medium}`, "--nbd", "127.0.0.1:0", "--io", io];
  if (tls) {
    flags.push("--tls", "require", "--tls-ca", `${pki}/ca-cert.pem`);
    flags.push("--tls-certificate", `${pki}/server-cert.pem`, "--tls-key", `${pki}/server-key.pem`);
  }
  const unit = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", ...ALONE, bundle, ...flags],
    cwd: empty,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const ready = JSON.parse(await firstLine(unit.stdout));
    assert.equal(ready.ready, "unit");
    const commands = ["write -f -P 7 4k 64k", "flush", "write -z 128k 64k", "read -P 7 4k 64k"];
    const args = commands.flatMap((command) => ["-c", command]);
    const [host, port] = ready.nbd.split(":");
    const image = `driver=nbd,host=${host},port=${port},export=disk`;
    if (tls) args.push("--object", `tls-creds-x509,id=t,endpoint=client,dir=${pki}`);
    args.push("--image-opts", tls ? `${image},tls-creds=t` : image);
    const used = run("qemu-io", args);
    assert.ok(used.success && !/failed|error/i.test(used.text), used.text);
    assert.ok(Deno.readFileSync(medium).subarray(4096, 4096 + 65536).every((byte) => byte === 7));
  } finally {
    unit.kill("SIGTERM");
    assert.equal((await unit.status).code, 0);
  }
}

/** The rest of what the process writes there is dropped. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) break;
  }
  return text.slice(0, text.indexOf("\n"));
}

function run(program: string, args: readonly string[]): { success: boolean; text: string } {
  const output = new Deno.Command(program, { args: [...args], cwd: ROOT, stdin: "null" })
    .outputSync();
  const decoder = new TextDecoder();
  return {
    success: output.success,
    text: decoder.decode(output.stdout) + decoder.decode(output.stderr),
  };
}
