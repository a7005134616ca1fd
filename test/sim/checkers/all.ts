import type { SimWorld } from "../../../storage/io/sim_world.ts";
import type { Checker, Sim } from "../types.ts";
import { AgentTellsChecker } from "./agent_tells.ts";
import { AttachmentsChecker } from "./attachments.ts";
import { BlocksChecker } from "./blocks.ts";
import { DiskPlaces } from "./disk_places.ts";
import { DurableLabelsChecker } from "./durable_labels.ts";
import { FencesChecker } from "./fences.ts";
import { GrantedSpace } from "./granted_space.ts";
import { InstancesChecker } from "./instances.ts";
import { LabelOrderChecker } from "./label_order.ts";
import { labelLossInWords, labelWriteInWords } from "./label_words.ts";
import { PoisonChecker } from "./poison.ts";
import { TellsChecker } from "./tells.ts";

export interface DataCheckers {
  readonly all: readonly Checker[];
  readonly blocks: BlocksChecker;
  readonly fences: FencesChecker;
  readonly attachments: AttachmentsChecker;
}

/** Those that watch data: what consumers are told, media, and the connections between. */
export function makeDataCheckers(sim: Sim, kernel: SimWorld): DataCheckers {
  const blocks = new BlocksChecker(sim);
  const space = new GrantedSpace();
  const places = new DiskPlaces();
  const fences = new FencesChecker(sim, space);
  const attachments = new AttachmentsChecker(sim, space);
  const tells = new TellsChecker(sim);
  const agentTells = new AgentTellsChecker(sim, blocks);
  const labels = new DurableLabelsChecker(sim, kernel.media);
  const instances = new InstancesChecker(sim, kernel.media);
  const order = new LabelOrderChecker(sim);
  const poison = new PoisonChecker(sim);
  kernel.tap = {
    erases: (range) => {
      blocks.erased(() => places.blocksIn(range));
      fences.erases(range);
      attachments.erases(range);
    },
    wrote: (write) => {
      const label = labelWriteInWords(write);
      if (label !== null) sim.say(label);
      blocks.wrote(write);
      fences.wrote(write);
      attachments.wrote(write);
      order.wrote(write);
    },
    lost: (loss) => {
      const label = labelLossInWords(loss);
      if (label !== null) sim.say(label);
      const lost = places.lostBy(loss);
      if (loss.isStillRead) blocks.writebackFailed(loss.medium.path, lost);
      else blocks.storageLost(lost);
    },
    syncFailed: (failure) => poison.syncFailed(failure),
    streamBytes: (end, bytes) => attachments.streamBytes(end, bytes),
    streamOver: (end) => attachments.streamOver(end),
  };
  const tally: Checker = {
    name: "tally",
    workerAnswered: (answer) => places.workerAnswered(answer),
    mediumGivenUp: (mediumId) => space.givenUp(mediumId),
    finished: () =>
      sim.say(
        `judged: ${blocks.judged} blocks that were read, ${blocks.statuses} times what is allocated, ${fences.judged} blocks written to media, ` +
          `${fences.erased} ranges erased there, ${attachments.judged} and ${attachments.erased} of ` +
          `them by the connection that asked for them, ${labels.judged} changes of labels, ${order.judged} writes of their copies, ${instances.judged} times the station that they name, ` +
          `${poison.judged} times what is told of media that are poisoned, ` +
          `and ${tells.told} and ${agentTells.told} losses that were told, without and with an agent`,
      ),
  };
  return {
    // Before the one whom a flush tells that all is there.
    all: [agentTells, blocks, fences, attachments, tells, labels, instances, order, poison, tally],
    blocks,
    fences,
    attachments,
  };
}
