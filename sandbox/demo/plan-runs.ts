import { findPlan, type PlanArgument } from '../../cli/plan-argument';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { watchRun } from '../../client/progress';
import { type LifeboatRun } from '../../client/run';
import { type RunArguments, type RunResults } from '../../client/run-types';
import { runLink } from '../../client/web-ui';
import { messageOf } from '../../host/message-of';
import { type WorkflowType } from '../../workflows/run/ids';
import { type SandboxFile } from '../lifecycle';
import { projectRoot } from '../../host/project-root';
import { type Narration } from './narration';

/** The sample application's plan, and its runs: started and followed as the `lifeboat` command does it. */
export class PlanRuns {
  /** Web UI of the run that was started last. */
  lastLink: string | undefined;

  private constructor(
    readonly published: PlanArgument,
    private readonly client: LifeboatClient,
    private readonly webUi: string,
    private readonly narration: Narration,
  ) {}

  /**
   * Publishes the plan to the backup repository and connects to Temporal; the environment says where both are.
   * @param planFile in the project's folder
   */
  static async open(services: SandboxFile, planFile: string, narration: Narration): Promise<PlanRuns> {
    const settings = {
      sandboxFile: undefined,
      webUi: services.temporal.ui,
      repository: services.repository,
      region: services.aws.region,
    };
    const published = await findPlan(planFile, settings, projectRoot());
    await published.publish();
    const client = await lifeboatClient({ ignoreConfigurationFile: true });
    return new PlanRuns(published, client, services.temporal.ui, narration);
  }

  /**
   * Starts a run and waits for its end.
   * @throws RunFailedError where it did not complete
   */
  async run<Type extends WorkflowType>(
    type: Type,
    more?: Omit<RunArguments[Type], 'plan' | 'digest'>,
  ): Promise<RunResults[Type]> {
    const { plan, digest } = this.published;
    const argument = { ...more, plan: plan.name, digest } as unknown as RunArguments[Type];
    const run = await this.client.start(type, argument);
    this.lastLink = runLink(this.webUi, run.namespace, run);
    this.narration.say(`  ${this.lastLink ?? run.workflowId}`);
    const ended = new AbortController();
    const shown = this.show(run, ended.signal);
    try {
      return await run.result();
    } finally {
      ended.abort();
      await shown;
    }
  }

  private async show(run: LifeboatRun, signal: AbortSignal): Promise<void> {
    const view = this.narration.progress();
    try {
      for await (const snapshot of watchRun(this.client.temporal, run, signal))
        if (!signal.aborted) view.update(snapshot);
    } catch (error) {
      // The run goes on, and its result tells how; only its progress is out of sight.
      view.note(`Progress cannot be shown: ${messageOf(error)}`);
    } finally {
      view.close();
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }
}
