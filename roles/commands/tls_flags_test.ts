import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { interpret } from "../process/command_line.ts";
import { COMMANDS } from "./table.ts";

const THIS = new URL(import.meta.url).pathname;
const FILES = ["--tls-certificate", THIS, "--tls-key", THIS];

Deno.test("--tls takes all files or none for a member of the pool", () => {
  const host = (...flags: string[]) => check(["host", "--station", "auto", ...flags]);
  host();
  host("--tls", "require");
  host("--tls", "require", ...FILES, "--tls-ca", THIS);
  refuses(() => host("--tls", "require", ...FILES), /without --tls-ca/);
  refuses(() => host("--tls", "allow", "--tls-ca", THIS), /without --tls-ca, or the other way/);
  refuses(() => host("--tls", "allow", "--tls-key", THIS), /--tls-certificate without --tls-key/);
  refuses(() => host("--tls-ca", THIS), /--tls-ca with --tls off/);
  refuses(() => host("--tls", "always"), /off, allow, require/);
  refuses(() => host("--tls", "allow", ...FILES, "--tls-ca", "/no/such/file"), /--tls-ca/);
});

Deno.test("--tls wants a certificate for an export that stands alone, and no authority", () => {
  const unit = (...flags: string[]) => check(["unit", "--export", `a=${THIS}`, ...flags]);
  unit("--tls", "off");
  unit("--tls", "require", ...FILES);
  unit("--tls", "require", ...FILES, "--tls-ca", THIS);
  refuses(() => unit("--tls", "require"), /there is no certificate/);
});

function check(argv: string[]): void {
  const interpreted = interpret(argv, {
    commands: COMMANDS,
    environment: {},
    readFile: () => utf8(""),
    version: "1",
    nodeName: "here",
  });
  assert.equal(interpreted.kind, "run");
}

function refuses(run: () => void, words: RegExp): void {
  assert.throws(
    run,
    (error) => error instanceof DvsanError && error.code === "usage" && words.test(error.message),
  );
}
