import assert from "node:assert/strict";
import { holdMessages } from "./held_messages.ts";

Deno.test("holdMessages() keeps what came before a worker listened, with its ports", async () => {
  const { href } = new URL("./testing_slow_start_main.ts", import.meta.url);
  const worker = new Worker(href, { type: "module" });
  const { port1, port2 } = new MessageChannel();
  const heard = new Promise((resolve) => {
    port1.onmessage = (event) => resolve(event.data);
  });
  worker.postMessage({ port: port2 }, [port2]);
  assert.equal(await heard, "heard");
  port1.close();
  worker.terminate();
});

Deno.test("holdMessages() holds nothing back once it was released", () => {
  const seen: unknown[] = [];
  const listen = (event: Event) => void seen.push((event as MessageEvent).data);
  const release = holdMessages();
  globalThis.dispatchEvent(new MessageEvent("message", { data: 1 }));
  globalThis.addEventListener("message", listen);
  release();
  release();
  globalThis.dispatchEvent(new MessageEvent("message", { data: 2 }));
  globalThis.removeEventListener("message", listen);
  assert.deepEqual(seen, [1, 2]);
});
