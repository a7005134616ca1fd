import { z } from "zod";
import { MediumAnswer, MediumChange } from "./media_bodies.ts";
import {
  AccessGrant,
  AccessRevoke,
  Assignment,
  DiskAccess,
  DiskCreate,
  DiskGrow,
  DiskRelease,
  Goodbye,
  StorageInfo,
  TaskAnswer,
  TaskQuery,
  VolumeAnswer,
  VolumeCreate,
  VolumeDelete,
  VolumeResize,
} from "./bodies.ts";
import { Heartbeat, HeartbeatAnswer } from "./heartbeat_bodies.ts";
import { CertificateAnswer, CertificateRequest } from "./certificate_bodies.ts";

const Nothing = z.strictObject({});

/**
 * Every request inside a session: who sends it, its body and the body of its answer. A request is
 * answered by ACK (with the answer's body) or REFUSED (with a Refusal). Handlers are idempotent.
 * The handshake packets (UNIT_STARTUP, NEED_STORAGE_INFO, HOST_STARTUP, HOST_WELCOME) are apart.
 */
export const REQUESTS = {
  /** Also sent by the station whenever a heartbeat's digest differs from what it knows. */
  NEED_STORAGE_INFO: { from: "station", body: Nothing, answer: StorageInfo },
  VOLUME_CREATE: { from: "station", body: VolumeCreate, answer: VolumeAnswer },
  VOLUME_RESIZE: { from: "station", body: VolumeResize, answer: VolumeAnswer },
  VOLUME_DELETE: { from: "station", body: VolumeDelete, answer: VolumeAnswer },
  ACCESS_GRANT: { from: "station", body: AccessGrant, answer: VolumeAnswer },
  ACCESS_REVOKE: { from: "station", body: AccessRevoke, answer: VolumeAnswer },
  MEDIUM_CHANGE: { from: "station", body: MediumChange, answer: MediumAnswer },
  /** Answered once the host has it durably. */
  VOLUME_ASSIGNMENT: { from: "station", body: Assignment, answer: Nothing },
  UNIT_SHUTDOWN: { from: "unit", body: Goodbye, answer: Nothing },
  HOST_SHUTDOWN: { from: "host", body: Goodbye, answer: Nothing },
  HEARTBEAT: { from: "node", body: Heartbeat, answer: HeartbeatAnswer },
  /** For TLS on data connections. The same key gets the same certificate. */
  CERTIFICATE_REQUEST: { from: "node", body: CertificateRequest, answer: CertificateAnswer },
  STORAGE_REQUEST: { from: "host", body: DiskCreate, answer: TaskAnswer },
  DISK_GROW: { from: "host", body: DiskGrow, answer: TaskAnswer },
  DISK_RELEASE: { from: "host", body: DiskRelease, answer: TaskAnswer },
  DISK_ACCESS: { from: "host", body: DiskAccess, answer: TaskAnswer },
  TASK_QUERY: { from: "host", body: TaskQuery, answer: TaskAnswer },
} as const;

export type RequestName = keyof typeof REQUESTS;
export type RequestBody<N extends RequestName> = z.infer<(typeof REQUESTS)[N]["body"]>;
export type AnswerBody<N extends RequestName> = z.infer<(typeof REQUESTS)[N]["answer"]>;
