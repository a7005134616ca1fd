import assert from "node:assert/strict";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import { type Consumer, diskOf, HostBench } from "./testing_host.ts";

export const EIO = -5;

/** A host whose agent ends, with a unit and consumers that come back to the next one. */
export class Returning {
  readonly host = new HostBench();
  readonly unit = this.host.bench.unit();

  stop(unit: FakeUnit = this.unit): void {
    let stopped = false;
    unit.stop(() => stopped = true);
    this.host.bench.until(() => stopped);
  }

  /** Its process is started again: nothing is gone. */
  start(unit: FakeUnit = this.unit): void {
    unit.starts++;
    unit.start();
  }

  /** Writes without a flush; then agent and unit end, the unit first. */
  async writtenAndEnded(units: readonly FakeUnit[] = [this.unit]): Promise<void> {
    await this.host.attach(diskOf(units));
    const consumer = await this.consumer();
    assert.equal(consumer.request(COMMAND.write, 0, { fill: 7 }), 0);
    await this.ended(units);
  }

  async ended(units: readonly FakeUnit[] = [this.unit]): Promise<void> {
    for (const unit of units) this.stop(unit);
    await this.host.restart();
  }

  async consumer(): Promise<Consumer> {
    return (await this.host.opened()).consumer;
  }

  flush(consumer: Consumer): number {
    return consumer.request(COMMAND.flush, 0);
  }

  end(...more: readonly FakeUnit[]): Promise<void> {
    return this.host.end([this.unit, ...more]);
  }
}
