/** A client that only counts: requests in batches, all of them answered before the next batch. */
export class CountingClient implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #requests: Uint8Array;
  readonly #received = new Uint8Array(256 * 1024);

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
    this.#requests = new Uint8Array(BATCH / 2 * (2 * HEADER_BYTES + REQUEST_BYTES));
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

  /** Reads and writes in turn, many at a time, at least `count` in all. */
  async exchange(count: number): Promise<void> {
    for (let done = 0; done < count; done += BATCH) await this.#ask(BATCH / 2);
  }

  /** A read and a write at a time, until `untilMs` of performance.now(); how many requests. */
  async trickle(untilMs: number): Promise<number> {
    let done = 0;
    for (; performance.now() < untilMs; done += 2) await this.#ask(1);
    return done;
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  /** A read and a write for each pair: simple replies, and the data of those to reads. */
  async #ask(pairs: number): Promise<void> {
    const requests = this.#requests.subarray(0, pairs * (2 * HEADER_BYTES + REQUEST_BYTES));
    const replyBytes = pairs * (2 * REPLY_BYTES + REQUEST_BYTES);
    await Promise.all([this.#receive(replyBytes), this.#send(requests)]);
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
