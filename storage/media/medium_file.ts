/**
 * What the storage engine needs of an open medium. In production an adapter over Io
 * (io_medium_file.ts); in tests memory with power cuts (memory_medium_file.ts). Every method
 * rejects with a DvsanError of code "io" when the medium fails.
 */
export interface MediumFile {
  readonly path: string;
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  /** What tells it from a copy of it (Io.identity); null when nothing does. */
  readonly identity: string | null;
  /** Exactly `length` bytes. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Not durable before `sync()`. */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** Everything written or zeroed before this call is durable afterwards. */
  sync(): Promise<void>;
  /** Zeroes a range (BLKZEROOUT, or a punched hole on a file); durable after `sync()`. */
  zero(position: number, length: number): Promise<void>;
  /** From now on nothing on it is called durable: what was written to it may be lost. */
  poison(): void;
  close(): Promise<void>;
}

/**
 * Whether what a path holds may be destroyed: `used` when that was asked for, and done or not
 * needed, before; `later` when it was asked for at the start and not done then, and the media are
 * opened anew. It was said of the device that was there then, and not of whatever is there now.
 */
export type Wipe = "no" | "yes" | "used" | "later";

/** A medium that the unit was told to use. */
export interface MediumSource {
  readonly path: string;
  readonly wipe: Wipe;
  /** Opens exclusively. Rejects with DvsanError: "not-found", "busy", "denied", "io". */
  open(): Promise<MediumFile>;
}
