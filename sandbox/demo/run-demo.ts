import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../host/message-of';
import { familyPrimaryAddress } from '../application';
import { roleEnvironment } from '../access/profiles';
import { journalText, refusedCalls } from '../aws/journal';
import { type DataCentre, defaultSandboxDirectory, readSandboxConfig, type SandboxConfig } from '../config';
import { sandboxDown, type SandboxFile, sandboxUp } from '../lifecycle';
import { clientEnvironment, sandboxPaths } from '../supervisor/processes';
import { leaveOtherSites } from './environment';
import { type FamilyName, familyNames } from '../guests/families/families';
import { untilAborted } from '../../blocks/until-aborted';
import { onInterruption } from './interruption';
import { narration, type Narration } from './narration';
import { OtherGuests } from './other-guests';
import { PlanRuns } from './plan-runs';
import { claimSandbox } from './previous-sandbox';
import { type DemoReport, emptyReport, removeReport, reportFile, reportTable, writeReport } from './report';
import { ShopClient } from './shop-client';
import { Steps } from './steps';
import { tellStory } from './story';

export { type DemoReport } from './report';

/** The VMs that take part, with the plan that protects them. */
const CASTS = {
  shop: { planFile: 'examples/shop/plan.yaml', others: [] },
  all: { planFile: 'examples/shop/all-guests.yaml', others: familyNames },
} satisfies Record<string, { planFile: string; others: FamilyName[] }>;

/** Seconds for the sample VMs to boot without hardware virtualization; of the shop's, one waits for the other. */
const BOOT_SECONDS = { shop: 300, all: 900 };
/** Seconds that a step which was broken off gets, so that it does not start what is being taken down. */
const SETTLE_SECONDS = 20;

/**
 * Tells the whole story in the default sandbox: protect, lose and bring home the sample application. The report is
 * also written to `.lifeboat/demo/report.json`.
 * @param guests the sample application's VMs, or those of other families beside them
 * @param dataCentre what runs the VMs of the primary site
 * @param keep leave the sandbox up at the end, whatever the end is
 * @param json stdout belongs to the report; the story goes to stderr
 * @throws SandboxInUseError where a sandbox is up that is not of a demo
 */
export async function runDemo({
  guests,
  dataCentre,
  keep,
  json,
}: {
  guests: 'shop' | 'all';
  dataCentre: DataCentre;
  keep: boolean;
  json: boolean;
}): Promise<DemoReport> {
  const directory = defaultSandboxDirectory();
  const told = narration(json);
  const report = emptyReport();
  await removeReport();
  leaveOtherSites(process.env);
  const interruption = onInterruption();
  try {
    await claimSandbox(directory, told.say);
    const stage = new Setting(
      directory,
      { application: guests, dataCentre },
      report,
      told,
      interruption.signal,
    );
    try {
      await stage.play();
      report.ok = true;
    } catch (error) {
      tellFailure(report, told, error, { stage, keep });
    }
    tellRefused(directory, told, report);
    await stage.close();
    if (keep) tellKept(told, stage);
    else await takeDown(directory, report, told);
  } finally {
    interruption.done();
  }
  await writeReport(report);
  told.write(`\n${reportTable(report)}`);
  if (report.evidence !== null) told.say(`What an auditor gets of the test failover: ${report.evidence}`);
  told.say(`${report.ok ? 'Everything held' : 'NOT everything held'}; the report is ${reportFile()}`);
  return report;
}

/** The sandbox that the story plays in, as far as it has come up. */
class Setting {
  services: SandboxFile | undefined;
  config: SandboxConfig | undefined;
  runs: PlanRuns | undefined;
  private story: Promise<void> = Promise.resolve();

  constructor(
    readonly directory: string,
    private readonly options: { application: keyof typeof CASTS; dataCentre: DataCentre },
    private readonly report: DemoReport,
    private readonly told: Narration,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws StepFailedError @throws InterruptedError */
  async play(): Promise<void> {
    this.story = this.tell();
    await untilAborted(this.story, this.signal);
  }

  private async tell(): Promise<void> {
    const { report, told, directory, options } = this;
    const { planFile, others: names } = CASTS[options.application];
    const patience = BOOT_SECONDS[options.application];
    const others = new OtherGuests(names);
    const steps = new Steps(report, told, this.signal);
    await steps.take('sandbox up', async () => {
      const services = await sandboxUp({ directory, ...options }, (line) => told.say(`  ${line}`));
      const config = await readSandboxConfig(directory);
      if (config === undefined) throw new Error(`The sandbox has no config in ${directory}.`);
      Object.assign(this, { services, config });
      // What the story does, the command does.
      Object.assign(process.env, clientEnvironment(config), roleEnvironment(config, 'command'));
      this.runs = await PlanRuns.open(services, planFile, told);
      const shop = new ShopClient(services.dns.address);
      told.say('  waiting until all VMs have booted (some minutes, without hardware virtualization)');
      await shop.untilHealthy(patience);
      await others.untilServing((vm) => familyPrimaryAddress(config, vm), patience);
      return { proof: `The application answers at ${await shop.address()}; Web UI: ${services.temporal.ui}` };
    });
    const { config, runs, services } = this;
    if (!config || !runs || !services) throw new Error('The sandbox is not up.');
    await tellStory({ config, steps, runs, shop: new ShopClient(services.dns.address), others, report });
  }

  /** Lets go of the sandbox. */
  async close(): Promise<void> {
    if (!this.signal.aborted) await this.runs?.close();
    // While it comes up, it must not be taken down: what is started after that would stay.
    else if (this.runs === undefined)
      await Promise.race([this.story.catch(() => {}), sleep(SETTLE_SECONDS * 1000)]);
    // A connection on which a call still waits stays open to the end of the process: Temporal's client would try again
    // on the closed one, and throw where nobody can catch it.
  }
}

function tellFailure(
  report: DemoReport,
  told: Narration,
  error: unknown,
  { stage, keep }: { stage: Setting; keep: boolean },
): void {
  report.error = messageOf(error);
  told.say(`FAILED: ${report.error}`);
  if (process.env.LIFEBOAT_DEBUG === '1' && error instanceof Error) console.error(error);
  const link = stage.runs?.lastLink ?? stage.services?.temporal.ui;
  if (link !== undefined)
    told.say(`  Web UI: ${link}${keep ? '' : ' (gone with the sandbox; with --keep it stays)'}`);
  told.say(`  logs: ${sandboxPaths({ directory: stage.directory }).logs}`);
}

/** The roles of all that takes part must be enough: what the account refused is a fault of the story, whatever came of it. */
function tellRefused(directory: string, told: Narration, report: DemoReport): void {
  const refused = refusedCalls(sandboxPaths({ directory }).aws);
  for (const call of refused) told.say(`REFUSED: ${journalText(call)}`);
  if (refused.length === 0) return;
  report.ok = false;
  report.error ??= `the account refused ${refused.length} kind(s) of calls`;
}

function tellKept(told: Narration, { services }: Setting): void {
  told.say(`the sandbox stays up${services ? `; Web UI: ${services.temporal.ui}` : ''}`);
  told.say("  in the project's folder (README.md has more to look at):");
  told.say('  npx lifeboat status shop');
  told.say('  npx lifeboat sandbox down --forget');
}

/** After a failure the sandbox's directory stays, for its logs. */
async function takeDown(directory: string, report: DemoReport, told: Narration): Promise<void> {
  told.say('taking the sandbox down');
  try {
    await sandboxDown({ directory, forget: report.ok }, (line) => told.say(`  ${line}`));
  } catch (error) {
    report.ok = false;
    const message = `the sandbox could not be taken down: ${messageOf(error)}`;
    report.error = report.error === undefined ? message : `${report.error}; ${message}`;
    told.say(`FAILED: ${message}`);
  }
}
