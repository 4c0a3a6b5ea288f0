import { lifeboatClient } from '../../client/client';
import { loseTemporal } from '../../sandbox/cluster/lose-temporal';
import { readSandboxConfig, type SandboxConfig } from '../../sandbox/config';
import { PlanRuns } from '../../sandbox/demo/plan-runs';
import { type Narration } from '../../sandbox/demo/narration';
import { OtherGuests } from '../../sandbox/demo/other-guests';
import { type DemoReport } from '../../sandbox/demo/report';
import { ShopClient } from '../../sandbox/demo/shop-client';
import { prove, Steps } from '../../sandbox/demo/steps';
import { comeHome, loseAndRecover, protect } from '../../sandbox/demo/story';
import { sandboxUp } from '../../sandbox/lifecycle';
import { clientEnvironment } from '../../sandbox/supervisor/processes';
import { eventually } from '../support/eventually';

const PLAN = 'examples/shop/plan.yaml';
/** Seconds for both guests to boot beside a Temporal server of six processes. */
const BOOT_SECONDS = 600;

/**
 * The demo's story on a cluster; and before the disaster Temporal loses its database, so that the failover begins with nothing but
 * what the sites hold.
 * @throws StepFailedError
 */
export async function tellStoryOnCluster(
  directory: string,
  report: DemoReport,
  told: Narration,
  signal: AbortSignal,
): Promise<void> {
  const steps = new Steps(report, told, signal);
  let up: { config: SandboxConfig; runs: PlanRuns; shop: ShopClient } | undefined;
  await steps.take('cluster up', async () => {
    const services = await sandboxUp({ directory, application: 'shop', cluster: true }, (line) =>
      told.say(`  ${line}`),
    );
    const config = await readSandboxConfig(directory);
    if (config === undefined) throw new Error(`The sandbox has no config in ${directory}.`);
    Object.assign(process.env, clientEnvironment(config));
    const shop = new ShopClient(services.dns.address);
    up = { config, runs: await PlanRuns.open(services, PLAN, told), shop };
    await shop.untilHealthy(BOOT_SECONDS);
    return { proof: `The application answers at ${await shop.address()}.` };
  });
  if (up === undefined) throw new Error('The cluster is not up.');
  const stage = { ...up, steps, others: new OtherGuests([]), report };
  try {
    await protect(stage);
    await steps.take("Temporal's database lost", async () => {
      const before = await knownRuns();
      prove(before > 0, 'Temporal knows of no run before its database is lost.');
      await loseTemporal(stage.config);
      const after = await knownRuns();
      prove(after === 0, `Temporal still knows of ${after} runs.`);
      return { proof: `The database is a new one: of ${before} runs Temporal knows none any more.` };
    });
    await loseAndRecover(stage);
    await comeHome(stage);
  } finally {
    // While a call waits on it, a connection that is closed throws where nobody can catch it.
    if (!signal.aborted) await stage.runs.close();
  }
}

/** How many runs Temporal has, by a connection of its own: a new server is not the one that an older connection led to. */
async function knownRuns(): Promise<number> {
  return eventually(120, async () => {
    const client = await lifeboatClient({ ignoreConfigurationFile: true });
    try {
      const { count } = await client.temporal.workflow.count();
      return { count };
    } finally {
      await client.close();
    }
  }).then(({ count }) => count);
}
