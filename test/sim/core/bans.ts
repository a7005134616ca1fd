/**
 * While a simulation runs, whatever would make it depend on the machine throws. The code under test
 * is handed clocks, chance, files and sockets; reaching for a global one is a defect of the design.
 */

const GLOBALS = [
  "Deno",
  "EventSource",
  "WebSocket",
  "Worker",
  "BroadcastChannel",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "fetch",
  "localStorage",
  "performance",
  "setImmediate",
  "setInterval",
  "setTimeout",
] as const;

const CRYPTO_MEMBERS = ["subtle", "getRandomValues", "randomUUID"] as const;

class BannedError extends Error {
  override readonly name = "BannedError";
  constructor(what: string) {
    super(`${what} was used in simulation: it would make the run depend on the machine`);
  }
}

/** Puts throwers in place of the globals; the answer takes them back. */
export function banGlobals(): () => void {
  const undo: (() => void)[] = [];
  for (const name of GLOBALS) {
    undo.push(replace(globalThis, name, { get: () => thrower(name) }));
  }
  undo.push(replace(globalThis, "Date", { value: bannedDate() }));
  undo.push(replace(Math, "random", { get: () => thrower("Math.random") }));
  undo.push(replace(AbortSignal, "timeout", { get: () => thrower("AbortSignal.timeout") }));
  for (const name of CRYPTO_MEMBERS) {
    undo.push(replace(crypto, name, { get: () => thrower(`crypto.${name}`) }));
  }
  return () => undo.reverse().forEach((run) => run());
}

function thrower(what: string): never {
  throw new BannedError(what);
}

/**
 * Dates of given times are pure; only the present is not to be had. Kysely's migrator alone may ask
 * for it: it notes beside each migration when it ran, and nobody ever reads that.
 */
function bannedDate(): DateConstructor {
  const present = (what: string) => {
    return new Error().stack?.includes("/migrator.js") === true ? 0 : thrower(what);
  };
  return new Proxy(Date, {
    construct(target, args) {
      return Reflect.construct(target, args.length === 0 ? [present("new Date()")] : args);
    },
    apply: () => thrower("Date()"),
    get: (target, name) => name === "now" ? () => present("Date.now()") : Reflect.get(target, name),
  });
}

function replace(object: object, name: string, by: PropertyDescriptor): () => void {
  const own = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, { ...by, configurable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(object, name);
    else Object.defineProperty(object, name, own);
  };
}
