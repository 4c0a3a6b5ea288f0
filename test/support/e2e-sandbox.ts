import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type AwsClients, awsClients } from '../../activities/aws-proxy/account/clients';
import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { openRepository, repositoryAt } from '../../client/repository';
import { type LoadedPlan } from '../../plan/load';
import { type DrPlan } from '../../plan/schema';
import { type ObjectStore, s3ObjectStore } from '../../repository/objects/object-store';
import { publishPlan } from '../../repository/plans/plans';
import { grantAccess } from '../../sandbox/access/grant';
import { roleEnvironment } from '../../sandbox/access/profiles';
import { FAULTS_FILE, type FaultRule } from '../../sandbox/aws/faults/rule';
import { REGION } from '../../sandbox/aws/fixtures';
import { type JournalEntry, journalText, refusedCalls } from '../../sandbox/aws/journal';
import { readSandboxConfig, type SandboxConfig, type SandboxOptions } from '../../sandbox/config';
import { type PrimarySite } from '../../sandbox/datacenter/primary-site';
import { siteOf } from '../../sandbox/datacenter/site-of';
import { sandboxDown, sandboxUp } from '../../sandbox/lifecycle';
import { writeFileAtomically } from '../../host/atomic-file';
import { supervisorReport } from '../../sandbox/supervisor/report';
import { projectRoot } from '../../host/project-root';
import { clientEnvironment, sandboxPaths, SHOP_REPOSITORY } from '../../sandbox/supervisor/processes';
import { eventually } from './eventually';
import { tellAtFailure, tellNoMore } from './post-mortem';

/** Seconds in which a sandbox comes up and goes down on two busy cores. */
export const SANDBOX_SECONDS = 240;

/** A whole sandbox of a test's own, with clients for everything that a person could ask. */
export interface E2eSandbox {
  config: SandboxConfig;
  paths: ReturnType<typeof sandboxPaths>;
  site: PrimarySite;
  client: LifeboatClient;
  aws: AwsClients;
  store: ObjectStore;
  /** Stores a plan, as the command does before it starts a run. */
  publish(plan: DrPlan, scripts?: LoadedPlan['scripts']): Promise<{ plan: string; digest: string }>;
  /** SIGKILL to one of the supervisor's processes; `startedAgain` is when the supervisor has started it again. */
  kill(name: string): Promise<{ startedAgain: Promise<void> }>;
  /** From now on the AWS endpoint fails by these rules, and by no others. */
  breakAws(...rules: FaultRule[]): Promise<void>;
  /** The endpoint fails no more. */
  mendAws(): Promise<void>;
  /** Calls that a test means to be refused; all others fail it at its end. */
  meansToBeRefused(which: (call: JournalEntry) => boolean): void;
  /**
   * @param options `keep`: for whoever wants to see what became of it
   * @throws Error where a role was refused what it asked for, or a signature was not believed
   */
  close(options?: { keep: boolean }): Promise<void>;
}

/** Brings a sandbox up, in a directory of its own. Its workers run from `dist/`, which must have been built. */
export async function openE2eSandbox(
  name: string,
  options: Omit<SandboxOptions, 'directory'>,
): Promise<E2eSandbox> {
  const directory = join(projectRoot(), '.lifeboat', 'test', name);
  // What an aborted test run left behind must not help this one to pass.
  await sandboxDown({ directory, forget: true });
  await sandboxUp({ ...options, directory });
  const config = await readSandboxConfig(directory);
  if (!config) throw new Error(`There is no sandbox in ${directory}.`);
  // Runs are started as the command starts them, and looked at as the account's root user does.
  Object.assign(process.env, clientEnvironment(config), roleEnvironment(config, 'command'));
  const paths = sandboxPaths(config);
  const repository = repositoryAt(SHOP_REPOSITORY, REGION);
  if (!repository) throw new Error(`${SHOP_REPOSITORY} is no repository.`);
  const published = openRepository(repository);
  const root = {
    region: REGION,
    endpoint: process.env.AWS_ENDPOINT_URL,
    credentials: { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
    maxAttempts: 3,
  };
  const store = s3ObjectStore(s3Client(root), repository);
  const aws = awsClients(root);
  const client = await lifeboatClient({ ignoreConfigurationFile: true });
  tellAtFailure(config, client.temporal);
  const faults = join(paths.aws, FAULTS_FILE);
  const meant: ((call: JournalEntry) => boolean)[] = [];
  return {
    config,
    paths,
    site: siteOf(config),
    client,
    aws,
    store,
    async publish(plan, scripts = []) {
      await grantAccess(config, plan);
      const { digest } = await publishPlan(published, plan, scripts);
      return { plan: plan.name, digest };
    },
    async kill(name) {
      const find = async () => (await supervisorReport(config)).find((report) => report.name === name);
      const { pid, restarts } = (await find()) ?? {};
      if (pid === undefined || restarts === undefined) throw new Error(`There is no process ${name}.`);
      process.kill(pid, 'SIGKILL');
      const startedAgain = eventually(120, async () => {
        const now = await find();
        return now?.pid !== undefined && now.pid !== pid && now.restarts === restarts + 1 ? true : undefined;
      }).then(() => undefined);
      return { startedAgain };
    },
    breakAws: (...rules) => writeFileAtomically(faults, JSON.stringify({ rules })),
    mendAws: () => rm(faults, { force: true }),
    meansToBeRefused: (which) => void meant.push(which),
    async close({ keep } = { keep: false }) {
      tellNoMore();
      for (const one of Object.values(aws) as { destroy(): void }[]) one.destroy();
      const refused = refusedCalls(paths.aws).filter((call) => !meant.some((which) => which(call)));
      await sandboxDown({ directory, forget: !keep });
      // Last: a call that waits to be tried again (of a run that hangs) ends the process when its turn comes (SDK 1.24, grpc-retry).
      await client.close();
      if (refused.length > 0)
        throw new Error(`The account refused what it should allow:\n${refused.map(journalText).join('\n')}`);
    },
  };
}
