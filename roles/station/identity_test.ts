import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { StationIdentity } from "./identity.ts";

Deno.test("rotate() that cannot be written leaves the old join key valid", () => {
  const files = new Map<string, Uint8Array>();
  let isFull = false;
  let next = 0;
  const identity = new StationIdentity({
    read: (name) => files.get(name) ?? null,
    write: (name, bytes) => {
      if (isFull) throw new DvsanError("io", "the file system is full");
      files.set(name, bytes);
    },
    path: (name) => name,
  }, { bytes: (count) => new Uint8Array(count).fill(++next) });
  const before = identity.joinSecret("host");
  isFull = true;
  assert.throws(() => identity.rotate("host"), /full/);
  assert.deepEqual(identity.joinSecret("host"), before);
  isFull = false;
  identity.rotate("host");
  assert.notDeepEqual(identity.joinSecret("host"), before);
});

Deno.test("a station of before TLS gets an authority, and keeps it", () => {
  const files = new Map<string, Uint8Array>();
  let next = 0;
  const open = () =>
    new StationIdentity({
      read: (name) => files.get(name) ?? null,
      write: (name, bytes) => void files.set(name, bytes),
      path: (name) => name,
    }, { bytes: (count) => new Uint8Array(count).fill(++next) });
  const first = open().authority;
  assert.deepEqual(open().authority, first);
  const stored = JSON.parse(new TextDecoder().decode(files.get("station.json")));
  const { authorityKey: _authorityKey, checksum: _checksum, ...old } = stored;
  files.set("station.json", new TextEncoder().encode(JSON.stringify(old)));
  const made = open().authority;
  assert.notDeepEqual(made, first);
  assert.deepEqual(open().authority, made);
});

Deno.test("an identity file of which a digit changed is not used", () => {
  const files = new Map<string, Uint8Array>();
  let next = 0;
  const open = () =>
    new StationIdentity({
      read: (name) => files.get(name) ?? null,
      write: (name, bytes) => void files.set(name, bytes),
      path: (name) => name,
    }, { bytes: (count) => new Uint8Array(count).fill(++next) });
  const { keys } = open();
  assert.deepEqual(open().keys, keys);
  const text = new TextDecoder().decode(files.get("station.json"));
  for (const name of ["privateKey", "authorityKey", "clusterId", "host"]) {
    const at = text.indexOf(`"${name}": "`) + name.length + 5;
    const spoilt = text.slice(0, at) + (text[at] === "1" ? "2" : "1") + text.slice(at + 1);
    files.set("station.json", new TextEncoder().encode(spoilt));
    assert.throws(open, /it is damaged.*Restore the file/);
  }
});
