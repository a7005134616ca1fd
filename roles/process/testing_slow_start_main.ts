import { holdMessages } from "./held_messages.ts";

// A worker whose first message comes while it still starts: for the test of held messages.
if ("WorkerGlobalScope" in globalThis) {
  const scope = globalThis as unknown as Pick<Worker, "onmessage" | "postMessage">;
  const release = holdMessages();
  await new Promise((resolve) => {
    globalThis.addEventListener("message", resolve, { once: true });
  });
  scope.onmessage = (event: MessageEvent<{ port: MessagePort }>) => {
    event.data.port.postMessage("heard");
  };
  release();
}
