/**
 * What the tidy test knows about dvsan's layout. Every exemption stands here with its reason.
 * A path ending in "/" names a folder with all that is in it; the longest match counts.
 */

export const FILE_LINES_MAX = 300;
export const FUNCTION_LINES_MAX = 60;
export const LINE_COLUMNS_MAX = 100;

const ANY_ROLE = ["protocol/", "storage/", "web/", "roles/process/"];

/** Which of our folders and files a folder may import (DESIGN.md §2). */
export const IMPORT_DIRECTIONS: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["roles/process/", "roles/commands/", "deno.json"],
  "protocol/core/": ["protocol/core/"],
  "protocol/": ["protocol/"],
  "storage/io/": ["protocol/core/", "storage/io/"],
  "storage/": ["protocol/", "storage/"],
  "roles/process/": [
    "protocol/core/",
    "protocol/config/link.ts",
    "protocol/metrics/",
    "roles/process/",
  ],
  "roles/commands/": ["protocol/core/", "roles/process/", "roles/commands/"],
  "roles/agent/": [...ANY_ROLE, "roles/agent/"],
  "roles/unit/": [...ANY_ROLE, "roles/agent/", "roles/unit/"],
  "roles/host/": [...ANY_ROLE, "roles/agent/", "roles/host/"],
  "roles/station/": [...ANY_ROLE, "roles/station/"],
  "roles/ctl/": [...ANY_ROLE, "roles/ctl/"],
  "roles/demo/": [...ANY_ROLE, "roles/"],
  "web/": ["protocol/core/", "web/"],
  "test/": [""],
};

/** `import("…")` of a role or worker: loaded only when it is asked for, and here only. */
export const DYNAMIC_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  "main.ts": [
    ...["roles/", "storage/worker/main.ts", "storage/tls/worker.ts"],
    "storage/io/epoll_helper.ts",
  ],
  "roles/commands/": ["roles/"],
};

/** npm packages for each folder; tests may use all. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "protocol/": ["zod", "cborg"],
  "protocol/certificates/": ["@peculiar/asn1-schema", "@peculiar/asn1-x509"],
  "storage/": ["zod", "cborg"],
  "roles/process/": ["smol-toml"],
  "roles/agent/": ["zod", "cborg"],
  "roles/unit/": ["zod", "cborg"],
  "roles/host/": ["zod", "cborg"],
  "roles/station/": ["zod", "cborg", "kysely"],
  "roles/ctl/": ["zod"],
  "roles/demo/": ["zod"],
  "web/": ["hono", "@hono/zod-openapi", "zod"],
};

/** Modules of the runtime that compute and touch nothing. */
export const PURE_NODE_MODULES: readonly string[] = [
  "node:assert",
  "node:buffer",
  "node:crypto",
  "node:path",
  "node:url",
  "node:util",
];

/** Of modules that otherwise touch the network: what only computes. */
export const PURE_NODE_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  "node:net": ["isIP", "isIPv4", "isIPv6"],
  "node:zlib": ["crc32"],
};

/** Of node:crypto: what makes its own randomness or works in other threads. */
export const RANDOM_CRYPTO_IMPORTS: readonly string[] = [
  "generateKey",
  "generateKeyPair",
  "generateKeyPairSync",
  "generateKeySync",
  "getRandomValues",
  "randomBytes",
  "randomFill",
  "randomFillSync",
  "randomInt",
  "randomUUID",
  "subtle",
  "webcrypto",
];

/** Globals that touch the operating system, the clock, randomness or the network. */
export const SYSTEM_GLOBALS: readonly string[] = [
  "Deno",
  "Date",
  "EventSource",
  "WebSocket",
  "Worker",
  "alert",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "console",
  "crypto",
  "fetch",
  "localStorage",
  "performance",
  "prompt",
  "setImmediate",
  "setInterval",
  "setTimeout",
];

/** The same, as members of globals that are otherwise harmless. */
export const SYSTEM_MEMBERS: readonly string[] = ["AbortSignal.timeout", "Math.random"];

interface Exemption {
  readonly path: string;
  /** Globals and modules, or "*" for all. */
  readonly may: readonly string[];
  readonly reason: string;
}

/** The few places that may touch the system. Tests may everywhere. */
export const SYSTEM_PLACES: readonly Exemption[] = [
  { path: "roles/process/", may: ["*"], reason: "makes the real ones that all others are handed" },
  { path: "test/", may: ["*"], reason: "tests run real processes" },
  {
    path: "protocol/certificates/certificate.ts",
    may: ["Date"],
    reason: "writes two fixed dates; what time it is, it never asks",
  },
  // The kernel seam. What is not named here knows offsets and results only.
  { path: "storage/io/libc.ts", may: ["Deno"], reason: "opens the C library" },
  { path: "storage/io/ordered.ts", may: ["Deno"], reason: "asks which processor it runs on" },
  { path: "storage/io/arena.ts", may: ["Deno"], reason: "views memory that the kernel sees" },
  { path: "storage/io/uring_ring.ts", may: ["Deno"], reason: "views the kernel's rings" },
  { path: "storage/io/kernel_files.ts", may: ["Deno"], reason: "O_DIRECT differs by machine" },
  { path: "storage/io/kernel_schedule.ts", may: ["Deno"], reason: "so do system calls' numbers" },
  { path: "storage/io/epoll_set.ts", may: ["Deno"], reason: "epoll_event differs by machine" },
  { path: "storage/io/epoll_worker.ts", may: ["Worker"], reason: "starts epoll's helper worker" },
  {
    path: "storage/io/promises.ts",
    may: ["setImmediate", "node:timers"],
    reason: "turns the event loop before the seam blocks (data-path.md §2)",
  },
  {
    path: "storage/worker/thread.ts",
    may: ["Worker"],
    reason: "starts the data worker (data-path.md §1)",
  },
  {
    path: "storage/tls/pipe.ts",
    may: ["node:net", "node:tls", "setTimeout", "clearTimeout"],
    reason: "the TLS worker has an event loop, and the runtime's TLS (data-path.md §6)",
  },
  {
    path: "storage/tls/plain_end.ts",
    may: ["node:net"],
    reason: "the TLS worker's end of the socket pair, read by its event loop (data-path.md §6)",
  },
  {
    path: "storage/tls/service.ts",
    may: ["node:net", "setTimeout", "clearTimeout"],
    reason: "takes descriptors over from the data worker (data-path.md §6)",
  },
  {
    path: "storage/tls/client.ts",
    may: ["Worker"],
    reason: "starts the TLS worker (data-path.md §6)",
  },
  {
    path: "storage/worker/mailbox.ts",
    may: ["node:worker_threads"],
    reason: "reads its port without a turn of the event loop (data-path.md §1)",
  },
  {
    path: "roles/station/catalog/sqlite.ts",
    may: ["node:sqlite"],
    reason: "opens the catalog at a path it is handed",
  },
];

/** Files that do something when they are run: everything else only declares. */
export const PROGRAMS: readonly string[] = [
  "main.ts",
  "storage/io/epoll_helper_main.ts",
  "test/run.ts",
  "test/bench/main.ts",
  "test/sim/main.ts",
];
