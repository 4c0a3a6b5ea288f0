import { join } from 'node:path';
import { ChangeResourceRecordSetsCommand } from '@aws-sdk/client-route-53';
import { type AwsClients, awsClients } from '../../activities/aws-proxy/account/clients';
import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { repositoryAt } from '../../client/repository';
import { type DrPlan } from '../../plan/schema';
import { type ObjectStore, s3ObjectStore } from '../../repository/objects/object-store';
import { readPlanState, takePlanState } from '../../repository/plans/plan-state';
import { publishPlan } from '../../repository/plans/plans';
import { grantAccess } from '../../sandbox/access/grant';
import { roleEnvironment } from '../../sandbox/access/profiles';
import { type Times } from '../../sandbox/aws/config';
import { REGION, SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { journalText, refusedCalls } from '../../sandbox/aws/journal';
import { readSandboxConfig, type SandboxConfig } from '../../sandbox/config';
import { sandboxDown, sandboxUp } from '../../sandbox/lifecycle';
import { clientEnvironment, sandboxPaths, SHOP_REPOSITORY } from '../../sandbox/supervisor/processes';
import { type Workspace } from '../workspace';
import { LARGE_SUBNET, recordOf } from './plans';

/** Seconds that EC2 and Route 53 take over things, as far as a failover waits for them. */
export type StateTimes = Pick<
  Times,
  'instanceStart' | 'instanceStop' | 'volumeCreate' | 'volumeAttach' | 'snapshotComplete' | 'dnsPropagation'
>;

/** A sandbox with the limits of EC2, Route 53 and EBS direct's snapshots in which instances have states only, and clients for it. */
export interface Account {
  config: SandboxConfig;
  client: LifeboatClient;
  aws: AwsClients;
  store: ObjectStore;
  /** Stores a plan as one that is replicated, and makes its DNS record as it was before the disaster. */
  publish(plan: DrPlan): Promise<{ plan: string; digest: string }>;
  /** @throws Error where a role was refused what it asked for: the figures are of something else then */
  requireNothingRefused(): void;
}

/** Brings it up in the workspace's directory; it goes with the workspace. */
export async function openAccount(workspace: Workspace, times: StateTimes): Promise<Account> {
  const directory = join(workspace.directory, 'sandbox');
  workspace.closing({ close: () => sandboxDown({ directory, forget: true }) });
  await sandboxUp({
    directory,
    runner: 'no-boot',
    application: 'none',
    limits: { requests: {} },
    times,
    subnets: [LARGE_SUBNET],
  });
  const config = await readSandboxConfig(directory);
  const repository = repositoryAt(SHOP_REPOSITORY, REGION);
  if (config === undefined || repository === undefined)
    throw new Error(`No sandbox came up in ${directory}.`);
  // Runs are started as the command starts them. What nobody's work is, which is to make thousands of copies, the account's root user does.
  Object.assign(process.env, clientEnvironment(config), roleEnvironment(config, 'command'));
  const root = {
    region: REGION,
    endpoint: process.env.AWS_ENDPOINT_URL,
    credentials: { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
  };
  const store = s3ObjectStore(s3Client(root), repository);
  const aws = awsClients(root);
  const client = workspace.closing(await lifeboatClient({ ignoreConfigurationFile: true }));
  return {
    config,
    client,
    aws,
    store,
    async publish(plan) {
      await grantAccess(config, plan);
      await aws.route53.send(
        new ChangeResourceRecordSetsCommand({
          HostedZoneId: SHOP_HOSTED_ZONE_ID,
          ChangeBatch: {
            Changes: [
              {
                Action: 'UPSERT',
                ResourceRecordSet: {
                  Name: recordOf(plan.name),
                  Type: 'A',
                  TTL: 60,
                  ResourceRecords: [{ Value: '192.168.10.10' }],
                },
              },
            ],
          },
        }),
      );
      const { digest } = await publishPlan(store, plan, []);
      const run = { plan: plan.name, digest, repository, runId: `replication-of-${plan.name}` };
      if ((await readPlanState(store, plan.name)) === undefined)
        await takePlanState(store, run, ['none'], 'protected');
      return { plan: plan.name, digest };
    },
    requireNothingRefused() {
      const refused = refusedCalls(sandboxPaths(config).aws);
      if (refused.length > 0)
        throw new Error(`The account refused what it should allow:\n${refused.map(journalText).join('\n')}`);
    },
  };
}
