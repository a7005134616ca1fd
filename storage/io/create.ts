import { DvsanError } from "../../protocol/core/errors.ts";
import * as abi from "./abi.ts";
import { EpollIo } from "./epoll.ts";
import type { ArenaOptions, Io } from "./io.ts";
import { lengthenSlices } from "./kernel_schedule.ts";
import { Libc } from "./libc.ts";
import { UringIo } from "./uring.ts";

export interface IoOptions {
  readonly kind: "uring" | "epoll";
  readonly arena: ArenaOptions;
  /**
   * Where epoll's helper worker starts: a module that calls `runSyncHelper()` when its worker's
   * name is SYNC_HELPER_NAME. The helper's own module when not given; one bundle gives its URL.
   */
  readonly helperUrl?: string;
  /** How long that may take; HELPER_START_MS_MAX when not given. */
  readonly helperStartMsMax?: number;
  /**
   * For each of its requests two others work as well, which may share its processor: it asks for
   * long slices (see lengthenSlices), does not gather (see Gathering), and does not look for work
   * while many requests are under way (uring).
   */
  readonly standsBetween?: boolean;
  /** Opens the C library; for tests, which make calls of it fail. */
  readonly openLibc?: () => Libc;
}

/**
 * The seam of the asked kind. Throws DvsanError "unsupported" with the reason when uring is not to
 * be had; the caller may then ask for epoll.
 */
export function createIo(options: IoOptions): Io {
  const { kind, openLibc, ...rest } = options;
  const libc = openLibc?.() ?? new Libc();
  // A write beyond the limit of file sizes is to be a result, EFBIG, as every other error. By
  // itself the signal would end the process, and so one client's write all others' connections.
  libc.call.signal(abi.SIGXFSZ, abi.SIG_IGN);
  const io = kind === "uring" ? new UringIo({ ...rest, libc }) : new EpollIo({ ...rest, libc });
  // Only where there is a seam: who is refused uring asks for epoll next.
  if (options.standsBetween === true) lengthenSlices(libc);
  return io;
}

/** uring where it is to be had, else epoll, and then why not uring. */
export function createBestIo(
  options: Omit<IoOptions, "kind">,
): { readonly io: Io; readonly whyNotUring: string | null } {
  try {
    return { io: createIo({ ...options, kind: "uring" }), whyNotUring: null };
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    return { io: createIo({ ...options, kind: "epoll" }), whyNotUring: error.message };
  }
}
