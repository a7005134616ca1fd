/** A client that only counts: requests in batches, all of them answered before the next batch. */
export class CountingClient implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #requests: Uint8Array;
  readonly #replyBytes: number;
  readonly #received = new Uint8Array(256 * 1024);

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
    this.#requests = new Uint8Array(BATCH / 2 * (2 * HEADER_BYTES + REQUEST_BYTES));
    // A simple reply for each, and with those to reads their data.
    this.#replyBytes = BATCH * REPLY_BYTES + BATCH / 2 * REQUEST_BYTES;
    const view = new DataView(this.#requests.buffer);
    for (let i = 0, at = 0; i < BATCH; i++) {
      const isWrite = i % 2 === 1;
      view.setUint32(at, 0x2560_9513);
      view.setUint16(at + 6, isWrite ? 1 : 0);
      view.setUint32(at + 12, i);
      view.setUint32(at + 20, i * REQUEST_BYTES);
      view.setUint32(at + 24, REQUEST_BYTES);
      at += HEADER_BYTES + (isWrite ? REQUEST_BYTES : 0);
    }
  }

  /** Opens the default export with the oldest of the options, which brings simple replies. */
  static async open(connection: Deno.Conn): Promise<CountingClient> {
    const client = new CountingClient(connection);
    await client.#receive(18);
    const hello = new Uint8Array(4 + 16);
    const view = new DataView(hello.buffer);
    view.setUint32(0, 3);
    view.setBigUint64(4, 0x4948_4156_454f_5054n);
    view.setUint32(12, 1);
    await client.#send(hello);
    await client.#receive(10);
    return client;
  }

  /** Reads and writes in turn, at least `count` in all. */
  async exchange(count: number): Promise<void> {
    for (let done = 0; done < count; done += BATCH) {
      await Promise.all([this.#receive(this.#replyBytes), this.#send(this.#requests)]);
    }
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }

  async #receive(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const most = Math.min(left, this.#received.length);
      const got = await this.#connection.read(this.#received.subarray(0, most));
      if (got === null) throw new Error("the server closed the connection");
      left -= got;
    }
  }
}

const BATCH = 128;
const HEADER_BYTES = 28;
const REPLY_BYTES = 16;
const REQUEST_BYTES = 512;
