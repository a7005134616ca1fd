import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { bytesEqual, concat, utf8 } from "../../protocol/core/bytes.ts";
import { OPTION, REPLY, REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { testWith } from "../needs.ts";
import { type Exports, makeFile, withDirectory, withExports } from "./exports.ts";
import { makePki } from "./tls_pki.ts";
import { runTool, tryTool } from "./tools.ts";

/** Exports with TLS, as libnbd (GnuTLS), qemu and strangers see them. */

const SIZE_BYTES = 24 * MIB;

interface Secured {
  readonly exports: Exports;
  readonly directory: string;
  /** libnbd's URI with the certificates of this directory. */
  readonly uri: (certificates: string) => string;
}

function withTls(
  { io, policy }: { io: "uring" | "epoll"; policy: "allow" | "require" },
  run: (secured: Secured) => Promise<void>,
): Promise<void> {
  return withDirectory(async (directory) => {
    await makePki(directory);
    const disk = makeFile(`${directory}/disk`, SIZE_BYTES);
    const flags = [
      ...["--tls", policy, "--tls-ca", `${directory}/good/ca-cert.pem`],
      ...["--tls-certificate", `${directory}/good/server-cert.pem`],
      ...["--tls-key", `${directory}/good/server-key.pem`],
    ];
    await withExports({ io, paths: { disk }, flags }, (exports) =>
      run({
        exports,
        directory,
        uri: (certificates) =>
          `nbds://127.0.0.1:${exports.port}/disk?tls-certificates=${directory}/${certificates}`,
      }));
  });
}

for (const io of ["uring", "epoll"] as const) {
  testWith({
    name: `TLS over ${io}: nbdcopy brings back what it wrote, with one connection and with four`,
    needs: { tools: ["openssl", "nbdinfo", "nbdcopy"], uring: io === "uring" },
    fn: () =>
      withTls({ io, policy: "require" }, async ({ uri, directory }) => {
        const info = await runTool("nbdinfo", uri("good"));
        assert.match(info, /with TLS/);
        const bytes = new Uint8Array(SIZE_BYTES).map((_, i) => (i * 7 + (i >> 12)) & 0xff);
        Deno.writeFileSync(`${directory}/source`, bytes);
        for (const connections of ["1", "4"]) {
          const by = ["--connections", connections];
          await runTool("nbdcopy", ...by, "--flush", `${directory}/source`, uri("good"));
          await runTool("nbdcopy", ...by, uri("good"), `${directory}/back`);
          // In words of its own: the difference of two large arrays would take all memory.
          assert.ok(bytesEqual(Deno.readFileSync(`${directory}/back`), bytes), "every byte");
          Deno.removeSync(`${directory}/back`);
        }
      }),
  });
}

testWith({
  name: "TLS: qemu with 1.3 and 1.2 comes in, with 1.1 it does not",
  needs: { tools: ["openssl", "qemu-img"] },
  fn: () =>
    withTls({ io: "uring", policy: "require" }, async ({ exports, directory }) => {
      const info = (priority: string) =>
        tryTool("qemu-img", ...[
          ...["info", "--object"],
          `tls-creds-x509,id=t,endpoint=client,dir=${directory}/good,priority=${priority}`,
          ...[
            "--image-opts",
            `driver=nbd,host=127.0.0.1,port=${exports.port},export=disk,` + [
              "tls-creds=t",
            ],
          ],
        ]);
      for (const version of ["1.3", "1.2"]) {
        const { code, text } = await info(`NORMAL:-VERS-ALL:+VERS-TLS${version}`);
        assert.equal(code, 0, `${version}: ${text}`);
      }
      const old = await info("NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT");
      assert.notEqual(old.code, 0, "TLS 1.1 is not taken");
    }),
});

testWith({
  name: "TLS: no certificate, a stranger's and an expired one are refused; others go on",
  needs: { tools: ["openssl", "nbdinfo"] },
  fn: () =>
    withTls({ io: "uring", policy: "require" }, async ({ uri }) => {
      for (const who of ["nobody", "stranger", "expired"]) {
        const { code, text } = await tryTool("nbdinfo", "--size", uri(who));
        assert.notEqual(code, 0, `${who}: ${text}`);
        assert.equal((await runTool("nbdinfo", "--size", uri("good"))).trim(), `${SIZE_BYTES}`);
      }
    }),
});

for (const io of ["uring", "epoll"] as const) {
  testWith({
    name: `TLS over ${io}: plaintext clients come in with allow, and learn nothing with require`,
    needs: { tools: ["openssl", "nbdinfo"], uring: io === "uring" },
    async fn() {
      await withTls({ io, policy: "allow" }, async ({ exports, uri }) => {
        for (const at of [exports.uri("disk"), uri("good")]) {
          assert.equal((await runTool("nbdinfo", "--size", at)).trim(), `${SIZE_BYTES}`);
        }
      });
      await withTls({ io, policy: "require" }, ({ exports }) => learnNothing(exports));
    },
  });

  testWith({
    name: `TLS over ${io}: what comes behind STARTTLS in plaintext is never answered`,
    needs: { tools: ["openssl", "nbdinfo"], uring: io === "uring" },
    async fn() {
      for (const policy of ["allow", "require"] as const) {
        await withTls({ io, policy }, async ({ exports, uri }) => {
          for (const option of BEHIND) await dropBehind(exports, option);
          assert.equal((await runTool("nbdinfo", "--size", uri("good"))).trim(), `${SIZE_BYTES}`);
        });
      }
    },
  });
}

/** Every option that there is, three that there are not, and two of our own. */
const OPTIONS = [...Object.values(OPTION), 0, 99, 0xffffffff, 0x64560001, 0x64560002];

async function learnNothing(exports: Exports): Promise<void> {
  using peer = await Peer.connect(exports);
  const others = OPTIONS.filter((option) =>
    ![OPTION.startTls, OPTION.abort, OPTION.exportName].some((each) => each === option)
  );
  for (const option of others) {
    for (const data of [new Uint8Array(), new Uint8Array(300)]) {
      await peer.write(encodeOption(option, data));
      const reply = await peer.optionReply();
      assert.equal(reply.type, REPLY_ERROR.tlsRequired, `option ${option}`);
    }
  }
  await peer.write(encodeOption(OPTION.abort, new Uint8Array()));
  assert.equal((await peer.optionReply()).type, REPLY.ack);
  assert.equal(await peer.rest(), 0);
  using naming = await Peer.connect(exports);
  await naming.write(encodeOption(OPTION.exportName, utf8("disk")));
  assert.equal(await naming.rest(), 0, "EXPORT_NAME has no other error than the end");
}

/** Options, of which each would be answered or end the connection with words. */
const BEHIND = [
  encodeOption(OPTION.list, new Uint8Array()),
  encodeOption(OPTION.go, encodeInfoRequest({ name: "disk", infos: [] })),
  encodeOption(OPTION.exportName, utf8("disk")),
  encodeOption(OPTION.abort, new Uint8Array()),
];

async function dropBehind(exports: Exports, option: Uint8Array): Promise<void> {
  const startTls = encodeOption(OPTION.startTls, new Uint8Array());
  using together = await Peer.connect(exports);
  await together.write(concat(startTls, option));
  assert.equal(await together.rest(), 0, "the connection is dropped, without a word");
  using behind = await Peer.connect(exports);
  await behind.write(startTls);
  assert.equal((await behind.optionReply()).type, REPLY.ack);
  await behind.write(option);
  assert.ok(await behind.rest() <= 7, "at most a TLS alert comes back");
}

for (const io of ["uring", "epoll"] as const) {
  testWith({
    name:
      `TLS over ${io}: clients that stall, break off or send garbage in the handshake hold up nobody`,
    needs: { tools: ["openssl", "nbdinfo"], uring: io === "uring" },
    fn: () =>
      withTls({ io, policy: "require" }, async ({ exports, uri }) => {
        const peers: Peer[] = [];
        try {
          for (let i = 0; i < 60; i++) {
            const peer = await Peer.connect(exports);
            peers.push(peer);
            await peer.write(encodeOption(OPTION.startTls, new Uint8Array()));
            assert.equal((await peer.optionReply()).type, REPLY.ack);
            if (i % 3 === 1) await peer.write(new Uint8Array(100).fill(i));
            if (i % 3 === 2) peer.close();
          }
          for (let i = 0; i < 3; i++) {
            assert.equal((await runTool("nbdinfo", "--size", uri("good"))).trim(), `${SIZE_BYTES}`);
          }
        } finally {
          for (const peer of peers) peer.close();
        }
      }),
  });
}

/** A client by hand, past the greeting. */
class Peer implements Disposable {
  readonly #conn: Deno.Conn;
  #isClosed = false;

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  static async connect({ port }: Exports): Promise<Peer> {
    const peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
    await peer.read(18);
    await peer.write(encodeClientFlags(3));
    return peer;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  async read(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const read = await this.#conn.read(bytes.subarray(at));
      assert.ok(read !== null, "the server has closed");
      at += read;
    }
    return bytes;
  }

  async optionReply(): Promise<{ type: number }> {
    const view = new DataView((await this.read(20)).buffer);
    await this.read(view.getUint32(16));
    return { type: view.getUint32(12) };
  }

  /** How many bytes still come before the server closes. */
  async rest(): Promise<number> {
    let count = 0;
    const bytes = new Uint8Array(4096);
    try {
      for (let read; (read = await this.#conn.read(bytes)) !== null;) count += read;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    return count;
  }

  close(): void {
    if (!this.#isClosed) this.#conn.close();
    this.#isClosed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
