import assert from "node:assert/strict";
import { silentLog } from "../../../protocol/core/log.ts";
import { createWebApp } from "../../../web/app.ts";
import { FakeStation, fakeTask } from "../../../web/fake_station_testing.ts";
import type { Chance } from "../chance.ts";
import { jsonObject, jsonValue } from "../json.ts";
import type { FuzzTarget } from "../target.ts";

const TOKEN = "right-token";
const WORDS = ["host", "name", "sizeBytes", "layout", "role", "disk", "extra", "limit", "after"];
const PIECES = ["x", "d1", "%00", "%2e%2e", "%ff", "a%2fb", "%", "..", "ü", "1", "x".repeat(300)];
const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
const TYPES = ["application/json", "text/plain", "application/json; charset=x", "", "multipart/x"];

/** A station that does what it is asked: what fails then is ours. */
class WillingStation extends FakeStation {
  override growDisk = (disk: string) => Promise.resolve(fakeTask(disk, "x")) as Promise<never>;
}

/** Requests of the REST interface: any input is answered, and never with a failure of ours. */
export const REST: FuzzTarget = {
  name: "rest",
  cases: 25,
  async run(chance) {
    const app = createWebApp({
      station: new WillingStation(),
      authorize: (token) => token === TOKEN ? "admin" : null,
      clock: { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) },
      log: silentLog(),
      version: "0",
    });
    const described = await (await app.request("/api/v1/openapi.json")).json();
    const paths = Object.keys(described.paths);
    for (let times = 0; times < 40; times++) {
      const path = pathOf(chance, paths);
      const init = requestOf(chance);
      const response = await app.request(new Request(`http://station${path}`, init));
      const text = JSON.stringify({ path, method: init.method, body: init.body });
      const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
      if (isStream) await response.body?.cancel();
      else await response.text();
      assert.ok(response.status < 500, `${response.status} for ${text}`);
    }
  },
};

function pathOf(chance: Chance, paths: readonly string[]): string {
  const path = chance.pick([...paths, "/api/v1/events/stream", "/", "/api/v1/health"])
    .replaceAll(/\{[^}]+\}/g, () => chance.pick(PIECES));
  if (chance.oneIn(3)) return path;
  return `${path}?${chance.pick(WORDS)}=${chance.pick([...PIECES, "-1", "1e3", "99999999999"])}`;
}

function requestOf(chance: Chance): RequestInit {
  const method = chance.oneIn(3) ? chance.pick(METHODS) : "POST";
  const headers = new Headers({ "Content-Type": chance.oneIn(3) ? chance.pick(TYPES) : TYPES[0]! });
  if (!chance.oneIn(8)) headers.set("Authorization", `Bearer ${TOKEN}`);
  if (chance.oneIn(8)) headers.set("Last-Event-ID", chance.pick(["1", "-1", "x", "9".repeat(30)]));
  if (method === "GET" || method === "HEAD") return { method, headers };
  const value = chance.oneIn(3) ? jsonValue(chance, WORDS) : jsonObject(chance, WORDS);
  const text = JSON.stringify(value) ?? "";
  if (!chance.oneIn(3)) return { method, headers, body: text };
  return { method, headers, body: chance.bend(new TextEncoder().encode(text)).slice() };
}
