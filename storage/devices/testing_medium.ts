import assert from "node:assert/strict";
import { IoMediumFile } from "../media/io_medium_file.ts";
import type { Io } from "../io/io.ts";
import { IoPromises } from "../io/promises.ts";
import { Operation } from "../io/operation.ts";
import type { Device } from "./device.ts";
import { ExtentsDevice } from "./extents.ts";
import { type KernelCall, WritebackModel } from "./testing_writeback.ts";

export const BLOCK = 512;
const MIB = 1 << 20;

/** A request to a device on the modelled medium, and its answer. */
export interface Asked {
  readonly operation: Operation;
  /** Positions that must be durable when it is answered with success. */
  readonly promises: ReadonlySet<number>;
  result: number | null;
}

/** Two devices and a label on one medium. */
export class MediumBench {
  readonly kernel: WritebackModel;
  readonly label: IoMediumFile;
  readonly devices: readonly Device[];
  /** Answered writes. */
  readonly #answered = new Set<number>();
  #next = 0;

  constructor(real: Io) {
    this.kernel = new WritebackModel(real);
    const { io } = this.kernel;
    const geometry = {
      kind: "file",
      sizeBytes: 64 * MIB,
      logicalBlockBytes: BLOCK,
      physicalBlockBytes: BLOCK,
    } as const;
    this.label = new IoMediumFile({ io, promises: new IoPromises(io) }, {
      path: "/medium",
      handle: 1,
      geometry,
    });
    const { handle, state } = this.label;
    this.devices = [0, 1].map((half) =>
      new ExtentsDevice({
        io,
        readOnly: false,
        extents: [{ handle, state, start: half * 32 * MIB, length: 32 * MIB }],
      })
    );
  }

  write(fua: boolean, device = 0): Asked {
    const position = this.#next++ * BLOCK;
    const at = { off: 0, length: BLOCK, position };
    const onMedium = device * 32 * MIB + position;
    return this.#ask(
      (operation) => this.devices[device]!.write(operation, at, fua),
      fua ? [onMedium] : [],
      () => this.#answered.add(onMedium),
    );
  }

  zero(fua: boolean): Asked {
    const position = this.#next++ * BLOCK;
    const at = { length: BLOCK, position, mayDiscard: false, fast: false };
    return this.#ask(
      (operation) => this.devices[0]!.zero(operation, at, fua),
      fua ? [position] : [],
      () => this.#answered.add(position),
    );
  }

  discard(fua: boolean): Asked {
    const position = this.#next++ * BLOCK;
    return this.#ask(
      (operation) => this.devices[0]!.discard(operation, { position, length: BLOCK }, fua),
      fua ? [position] : [],
      () => this.#answered.add(position),
    );
  }

  flush(device = 0): Asked {
    return this.#ask((operation) => this.devices[device]!.flush(operation), this.#answered);
  }

  /** A label's sync; resolves to whether it was told of success. */
  async syncLabel(): Promise<boolean> {
    try {
      await this.label.sync();
      return true;
    } catch {
      return false;
    }
  }

  /** The next call of the kind, which is there. */
  call(kind: KernelCall["kind"]): KernelCall {
    const call = this.kernel.calls.find((one) => one.kind === kind);
    assert.ok(call !== undefined, `the kernel was asked for a ${kind}`);
    return call;
  }

  #ask(
    submit: (operation: Operation) => void,
    promises: Iterable<number>,
    good: () => void = () => {},
  ): Asked {
    const operation = new Operation(({ result }) => {
      asked.result = result;
      if (result >= 0) good();
    });
    const asked: Asked = { operation, promises: new Set(promises), result: null };
    submit(operation);
    return asked;
  }
}
