import type { FaultKind } from "../scenario/plan.ts";
import { DRAWN_TOGETHER } from "./kept_combinations.ts";

/**
 * A seed that found a bug, and which. They run with every test run, with the kinds of faults that
 * the bug needs: what a seed draws by itself changes with every change of the drawing.
 */
export interface KeptSeed {
  readonly seed: number;
  readonly only: readonly FaultKind[];
  readonly reason: string;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [
  {
    seed: 10,
    only: ["rollback", "kill"],
    reason:
      "the label sequence that a unit's start wrote was not kept: a rolled-back medium served",
  },
  {
    seed: 3,
    only: ["catalog", "restart"],
    reason: "nodes that had restarted could not prove their join key to a station without catalog",
  },
  {
    seed: 74_115,
    only: ["adopt", "slow", "catalog"],
    reason:
      "a host was told of a leg that its unit had shut out, as that medium's former unit was " +
      "asked to forget it at that moment",
  },
  {
    seed: 83_148,
    only: ["wipe", "users", "adopt"],
    reason:
      "the fences' checker took what a unit zeroes by itself, of space that was anybody's before, " +
      "for a fenced host's zeroes",
  },
  {
    seed: 63_043,
    only: ["users", "full", "media-errors"],
    reason: "a growth that failed left what a unit had added already",
  },
  {
    seed: 70_111,
    only: ["adopt", "catalog", "full"],
    reason:
      "a leg of an adopted medium stayed fenced after the catalog was lost, and nobody said so",
  },
  {
    seed: 70_208,
    only: ["unplug", "catalog", "users"],
    reason: "a creation that a failing medium cut off was adopted and never was on a label",
  },
  {
    seed: 70_289,
    only: ["unplug", "wipe", "adopt", "users"],
    reason: "a medium that held no disk stayed missing",
  },
  {
    seed: 70_319,
    only: ["adopt", "power", "users"],
    reason: "the fences' checker did not know what came with an adopted medium",
  },
  {
    seed: 70_371,
    only: ["replays", "slow"],
    reason: "an attacker's copy that overtook its packet was taken for a second one",
  },
  {
    seed: 71_038,
    only: ["kill", "mid-call", "cut", "users"],
    reason: "what was left of a killed station tried again without a pause",
  },
  {
    seed: 75_013,
    only: ["adopt", "rollback", "kill"],
    reason: "an older copy of a medium was adopted in a run, and its loss taken for a bug",
  },
  {
    seed: 77_226,
    only: ["clone", "direct", "users", "adopt"],
    reason: "two stations on copies of one catalog gave one generation to others",
  },
  {
    seed: 134,
    only: ["restart", "clone", "users", "revoke"],
    reason: "a unit zeroed what a volume still held while its deletion was being written",
  },
  {
    seed: 180,
    only: ["full", "clone", "mid-call", "users"],
    reason: "likewise: a fenced disk was erased",
  },
  {
    seed: 90_008,
    only: ["adopt", "media-errors", "direct"],
    reason: "a host was told of an adopted leg that its unit had never granted",
  },
  {
    seed: 85_059,
    only: ["direct", "cut", "users"],
    reason: "a change of access that was cut off left the host with the generation of before",
  },
  {
    seed: 98_007,
    only: ["unplug", "clone", "users", "direct"],
    reason: "a creation that a failing medium cut off counted as made, and was missed for ever",
  },
  {
    seed: 200_022,
    only: ["stalls", "weather", "clone", "copy", "direct", "kill", "clocks", "users"],
    reason: "a creation that a stalled medium held up counted as made, and was missed for ever",
  },
  {
    seed: 98_002,
    only: ["mid-call", "slow"],
    reason:
      "the checker of told losses missed what a replay had left out or zeroed, and what had been " +
      "written side by side",
  },
  {
    seed: 98_033,
    only: ["copy", "wipe", "restart", "direct", "swap", "power"],
    reason: "of media that had changed places, what one machine held went with the other's power",
  },
  {
    seed: 98_036,
    only: ["wipe", "adopt", "clocks", "media-errors", "users"],
    reason: "a device that was out when its unit was to wipe it was opened again and again",
  },
  {
    seed: 300_647,
    only: ["unplug", "power", "full", "replays", "rollback"],
    reason:
      "what an operator did once the faults were over counted as the answer to the copy of a " +
      "packet that had come in the last event",
  },
  {
    seed: 300_079,
    only: ["full", "mid-call", "copy", "streams", "users"],
    reason: "nobody asked again for a release that had not begun when its station was killed",
  },
  {
    seed: 300_135,
    only: ["swap", "catalog", "replays", "wipe", "adopt", "slow", "mid-call"],
    reason: "a device whose medium was given up was neither used nor told of",
  },
  {
    seed: 300_737,
    only: ["copy", "full", "users"],
    reason: "a growth that a full catalog kept from being taken back stayed half done",
  },
  {
    seed: 330_409,
    only: ["cut", "adopt", "full", "direct", "catalog", "clone", "stalls", "users"],
    reason:
      "zeroes that were lost came back while a read was on its way, and the checker of blocks " +
      "judged it as if they had never been away",
  },
  {
    seed: 330_476,
    only: ["wipe", "stalls", "full", "cut", "restart", "mid-call", "slow", "users"],
    reason: "the checker of labels took a refused device for served: it was stalled and open still",
  },
  {
    seed: 330_663,
    only: ["swap", "revoke", "clone", "weather", "users", "clocks", "replays"],
    reason:
      "nobody released again what a twin had deleted without an answer, as its host was revoked",
  },
  {
    seed: 25,
    only: ["stalls", "weather", "clone", "copy", "direct", "kill", "clocks", "users"],
    reason: "an adopted disk was the agent's though one leg was granted without it",
  },
  {
    seed: 330_469,
    only: ["catalog", "direct", "adopt", "full", "mid-call", "users"],
    reason: "an adopted leg made its disk the agent's, and the other stayed granted without it",
  },
  {
    seed: 340_261,
    only: ["catalog", "users"],
    reason: "a bit was flipped in a column's name of the catalog, which took nothing any more",
  },
  {
    seed: 345_622,
    only: ["adopt", "users"],
    reason: "one of two media was carried away whose other's label was being written just then",
  },
  {
    seed: 346_196,
    only: ["wipe", "slow", "restart", "adopt", "mid-call", "users"],
    reason: "the checkers took a wiping that an operator had asked for, for a fenced host's",
  },
  {
    seed: 361_041,
    only: ["kill", "streams", "users"],
    reason: "the bounds did not wait for an answer that was held up on the wire",
  },
  {
    seed: 380_055,
    only: ["swap", "stalls", "weather", "unplug", "direct", "slow", "clone", "users"],
    reason: "a host was told of a grant that its unit had not taken, as the disk was growing",
  },
  {
    seed: 370_326,
    only: ["stalls", "users"],
    reason: "buffers were judged while a unit's medium stood still over what their host waits for",
  },
  {
    seed: 447_285,
    only: ["direct", "media-errors", "catalog"],
    reason: "the checker of told losses took what lay beneath a failed writeback for lost with it",
  },
  {
    seed: 931_024,
    only: ["unplug", "media-errors", "swap", "catalog", "users"],
    reason: "a catalog that was cut in the last page of a long record was taken for a disk's fault",
  },
  {
    seed: 931_666,
    only: ["media-errors", "wipe", "adopt", "users"],
    reason: "a device was asked for by the name that another opening had just ended",
  },
  {
    seed: 454_095,
    only: ["swap", "direct", "full", "power", "adopt", "catalog", "clone"],
    reason: "a host that was admitted after a recovery was told of a leg still shut out",
  },
  {
    seed: 930_758,
    only: ["replays", "cut", "adopt", "users"],
    reason: "a disk's second leg was granted again and told with the first one, which was shut out",
  },
  {
    seed: 931_070,
    only: ["replays", "wipe", "adopt", "users"],
    reason: "a volume on three carried media was two units' while they were adopted one by one",
  },
  {
    seed: 455_579,
    only: ["power", "catalog", "users"],
    reason: "a host refused a disk of its own that was made for the second place of another",
  },
  {
    seed: 454_687,
    only: ["full", "media-errors", "wipe", "users"],
    reason: "an order to open a poisoned medium was carried out by a unit that refused it, ending",
  },
  {
    seed: 456_407,
    only: ["unplug", "restart", "power"],
    reason: "zeroes on a medium were taken for those of a zeroing that was never done",
  },
  ...DRAWN_TOGETHER,
];
