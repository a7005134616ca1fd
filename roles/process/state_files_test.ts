import assert from "node:assert/strict";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import { openStateFiles } from "./state_files.ts";

function withDirectory(run: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "dvsan-unit-" });
  try {
    run(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

Deno.test("openStateFiles() makes an owner-only directory with owner-only files", () => {
  withDirectory((directory) => {
    const files = openStateFiles(`${directory}/deep/state`);
    assert.equal(files.read("identity"), null);
    files.write("identity", utf8("one"));
    files.write("identity", utf8("two"));
    assert.equal(fromUtf8(files.read("identity") ?? new Uint8Array()), "two");
    assert.equal(modeOf(files.directory), 0o700);
    assert.equal(modeOf(files.path("identity")), 0o600);
    assert.deepEqual([...Deno.readDirSync(files.directory)].map((entry) => entry.name), [
      "identity",
    ]);
    files.remove("identity");
    files.remove("identity");
    assert.equal(files.read("identity"), null);
  });
});

Deno.test("openStateFiles() refuses a directory that another one has locked", () => {
  withDirectory((directory) => {
    const first = openStateFiles(directory, { lock: true });
    const again = () => openStateFiles(directory, { lock: true });
    assert.throws(again, { code: "busy", message: new RegExp(`process ${Deno.pid} is using it`) });
    first.close();
    again().close();
  });
});

Deno.test("openStateFiles() does not take an open directory away from others", () => {
  withDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/theirs`, "");
    Deno.chmodSync(directory, 0o755);
    const open = () => openStateFiles(directory);
    assert.throws(open, { code: "usage", message: /others can look into it, .*run: chmod 700/ });
    assert.equal(modeOf(directory), 0o755);
    Deno.removeSync(`${directory}/theirs`);
    open();
    assert.equal(modeOf(directory), 0o700);
  });
});

Deno.test("openStateFiles() says what is wrong with a path", () => {
  withDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    assert.throws(() => openStateFiles(`${directory}/file`), { code: "usage" });
    assert.throws(() => openStateFiles(`${directory}/file/below`), { code: "usage" });
    Deno.mkdirSync(`${directory}/lock`);
    const locked = () => openStateFiles(directory, { lock: true });
    assert.throws(locked, { code: "usage", message: /lock: it is a directory/ });
  });
});

Deno.test("write() keeps the old content when it cannot write the new", () => {
  withDirectory((directory) => {
    const files = openStateFiles(directory);
    files.write("key", utf8("old"));
    Deno.mkdirSync(`${directory}/.key.new`);
    Deno.writeTextFileSync(`${directory}/.key.new/in the way`, "");
    assert.throws(() => files.write("key", utf8("new")), { code: "io", message: /Cannot write/ });
    assert.equal(fromUtf8(files.read("key") ?? new Uint8Array()), "old");
  });
});

Deno.test("write() says that the new content may be there when its name could not be synced", () => {
  withDirectory((directory) => {
    const files = openStateFiles(directory);
    files.write("key", utf8("old"));
    const { openSync } = Deno;
    Deno.openSync = (path, options) => {
      if (path === directory) throw new Error("Input/output error (os error 5)");
      return openSync(path, options);
    };
    try {
      const refused = { code: "io", message: /os error 5\)\. It holds the new content now; after/ };
      assert.throws(() => files.write("key", utf8("new")), refused);
    } finally {
      Deno.openSync = openSync;
    }
    assert.equal(fromUtf8(files.read("key") ?? new Uint8Array()), "new");
  });
});
