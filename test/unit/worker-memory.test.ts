import { runCli } from '../../cli/program';
import { queueWorkers } from '../../workers/roles';
// What it imports, every worker's process has.
import '../../workers/run';
import { testIo } from './cli-io';

/** Whoever loads it has 50 MiB less. */
jest.mock('@aws-sdk/client-ec2', () => {
  throw new Error("AWS's client for EC2 is loaded.");
});

const environment = { ...process.env };
beforeEach(() => {
  Object.assign(process.env, {
    ...{ AWS_REGION: 'eu-central-1', LIFEBOAT_REPOSITORY: 's3://backups/dr', LIFEBOAT_DEPLOYMENT: '' },
    LIFEBOAT_PROXY_INSTANCE_ID: 'i-0a11fe00000000001',
    LIFEBOAT_PROXY_AVAILABILITY_ZONE: 'eu-central-1a',
  });
});
afterEach(() => {
  process.env = { ...environment };
});

it('a control worker and the command that starts it load no client of EC2', async () => {
  const world = testIo(process.env, '/');
  expect(await runCli(['worker', '--help'], world.io)).toBe(0);
  expect(world.out).toContain('backup-proxy');
  expect(queueWorkers('control')).toHaveLength(2);

  expect(() => queueWorkers('aws-proxy')).toThrow("AWS's client for EC2 is loaded.");
});

it('a control worker keeps a bounded number of workflows in memory, more than are at work in a failover', () => {
  const [workflows] = queueWorkers('control');
  // A hundred VMs that are prepared, and those that boot.
  expect(workflows?.maxCachedWorkflows).toBeGreaterThanOrEqual(160);
  // Each takes a third of a MiB: 70 MiB in all.
  expect(workflows?.maxCachedWorkflows).toBeLessThanOrEqual(200);
});
