import { type Needs, testWith } from "../needs.ts";
import { Cluster } from "./cluster.ts";

export interface Scenario {
  readonly cluster: Cluster;
  /** A named part; what follows needs what it left, so its failure ends the test. */
  readonly step: (name: string, run: () => Promise<void>) => Promise<void>;
}

export interface ScenarioOptions {
  readonly name: string;
  /** Beside a network of its own. */
  readonly needs?: Needs;
  readonly stationFlags?: readonly string[];
  readonly run: (scenario: Scenario) => Promise<void>;
}

/** Registers a test with a station on a network of its own; tells the members' last words if it fails. */
export function scenario({ name, needs = {}, stationFlags = [], run }: ScenarioOptions): void {
  testWith({
    name: `e2e: ${name}`,
    needs: { ...needs, root: true, netns: true, tools: ["ip", ...needs.tools ?? []] },
    fn: async (t) => {
      await using cluster = await Cluster.create(...stationFlags);
      try {
        await run({
          cluster,
          step: async (step, work) => {
            if (!await t.step(step, work)) throw new Error(`"${step}" failed`);
          },
        });
      } catch (error) {
        for (const member of cluster.lab.members) {
          const command = member.flags.slice(0, 1).join(" ");
          console.error(`--- last words of dvsan ${command} on ${member.machine}:`);
          console.error(member.words);
        }
        throw error;
      }
    },
  });
}
