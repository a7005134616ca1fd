import type { ProcessContext } from "../process/context.ts";
import type { DemoSettings } from "../process/settings.ts";
import { Demo } from "./demo.ts";

/** `dvsan demo`: the whole of dvsan on this machine, told in sentences. */
export async function runDemo(settings: DemoSettings, process: ProcessContext): Promise<void> {
  const demo = new Demo(process);
  await demo.startEverything();
  await demo.createDisks();
  await demo.refuseOthers();
  await demo.killUnitWhileWriting();
  await demo.growWhileWriting();
  await demo.stopStationWhileWriting();
  if (settings.once) {
    demo.say("Everything worked. Stopping and cleaning up.");
    return;
  }
  demo.tellWhatToTry();
  await process.stopped;
}
