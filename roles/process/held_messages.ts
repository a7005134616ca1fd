/**
 * Holds what is posted to this worker until it listens. A worker that imports more of the program
 * first, with `await`, is given its messages meanwhile, and without a listener they are lost: it
 * would wait for its first message for ever. Call it before the first `await`; call what it
 * returns once `onmessage` is set.
 */
export function holdMessages(): () => void {
  const held: MessageEvent[] = [];
  const hold = (event: Event) => void held.push(event as MessageEvent);
  globalThis.addEventListener("message", hold);
  return function release() {
    globalThis.removeEventListener("message", hold);
    for (const { data } of held.splice(0)) {
      globalThis.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
