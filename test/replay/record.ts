import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { temporal } from '@temporalio/proto';
import { AlreadyRunningError, RunFailedError } from '../../client/errors';
import { type LifeboatRun } from '../../client/run';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { projectRoot } from '../../host/project-root';
import { ExpectedDisks } from '../chaos/disks';
import { SeededRandom } from '../chaos/random';
import { untilVmsWait } from '../support/attention';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox } from '../support/e2e-sandbox';
import { removeSystemDisks } from '../chaos/guests';

/**
 * `npm run record-histories`: every workflow and scenario once, in a sandbox in which nothing boots, and its history in
 * histories/<version>/. CONTRIBUTING says when.
 */

/** Workflows of one scenario: the run, and its VMs' children. */
async function save(
  sandbox: E2eSandbox,
  directory: string,
  scenario: string,
  run: LifeboatRun,
): Promise<void> {
  const ids = [run.workflowId, ...VMS.map((vm) => `${run.workflowId}:${vm}`)];
  for (const [n, workflowId] of ids.entries()) {
    const handle = sandbox.client.temporal.workflow.getHandle(workflowId, n === 0 ? run.runId : undefined);
    const found = await handle.fetchHistory().catch(() => undefined);
    if (found === undefined) continue;
    withoutStacks(found);
    const name = n === 0 ? scenario : `${scenario}.${VMS[n - 1] ?? ''}`;
    const bytes = temporal.api.history.v1.History.encode(found).finish();
    await writeFile(join(directory, `${name}.pb.gz`), gzipSync(bytes, { level: 9 }));
    console.log(`${name}: ${found.events?.length ?? 0} events`);
  }
}

const VMS = ['db', 'web'];

/** Takes the stacks out of failures: where the code lay on this machine is of no use in another place. */
function withoutStacks(part: unknown): void {
  if (typeof part !== 'object' || part === null || part instanceof Uint8Array) return;
  for (const [name, value] of Object.entries(part))
    if (name === 'stackTrace') Object.assign(part, { stackTrace: '' });
    else withoutStacks(value);
}

async function main(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(projectRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  const directory = join(projectRoot(), 'test', 'replay', 'histories', version);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const sandbox = await openE2eSandbox('replay', { runner: 'no-boot', application: 'none' });
  const disks = new ExpectedDisks(join(sandbox.config.directory, 'expected'), {
    plan: 'shop',
    vms: VMS.map((name) => ({ name, guest: 'debian', dataSectors: 2048, dependsOn: [] })),
    steps: [],
  });
  try {
    const random = new SeededRandom(1);
    await disks.make(sandbox.site, random);
    const plan = plainPlan('shop', VMS, {
      dns: {
        hostedZone: SHOP_HOSTED_ZONE_ID,
        records: [{ name: 'replay.shop.example', vm: 'web', address: 'private', ttl: 60 }],
      },
    });
    for (const vm of plan.vms) {
      vm.instanceTypes = ['m6i.large', 'm5.large'];
      if (vm.name === 'web') vm.dependsOn = ['db'];
    }
    const direct = await sandbox.publish(plan);
    const byVolume = await sandbox.publish({ ...plan, replication: { ...plan.replication, copy: 'volume' } });
    const { client } = sandbox;

    async function record(
      scenario: string,
      start: () => Promise<LifeboatRun>,
      options: {
        fault?: FaultRule['fault'];
        operations?: string[];
        times?: number;
        cancelAfterMs?: number;
        fails?: boolean;
        /** Mends the fault when so many VMs wait for it, and tells the run to go on. */
        mendWhenWaiting?: number;
      } = {},
    ): Promise<void> {
      const { fault, operations, times, cancelAfterMs, mendWhenWaiting } = options;
      if (fault !== undefined) await sandbox.breakAws({ name: scenario, operations, times, fault });
      const run = await start();
      if (cancelAfterMs !== undefined)
        setTimeout(
          () => void run.handle.cancel().catch((error: unknown) => console.error(error)),
          cancelAfterMs,
        );
      if (mendWhenWaiting !== undefined) {
        await untilVmsWait(client, run, mendWhenWaiting);
        await sandbox.mendAws();
        await client.retry(plan.name);
      }
      const failed = await run.result().then(
        () => false,
        (error: unknown) => {
          if (error instanceof RunFailedError) return true;
          throw error;
        },
      );
      if (failed !== (options.fails ?? false))
        throw new Error(`${scenario} ${failed ? 'failed' : 'did not fail'}.`);
      await sandbox.mendAws();
      await save(sandbox, directory, scenario, run);
    }

    await record('restore-without-backup', () => client.restore(direct), { fails: true });
    await record('backup', () => client.backup(direct));
    await record('restore-full', () => client.restore(direct));
    await disks.change(sandbox.site.hypervisor, random);
    await record('backup-incremental', () => client.backup(direct));
    await record('restore-incremental', () => client.restore(direct));
    await disks.change(sandbox.site.hypervisor, random);
    await record('replication-volume-way', () => client.replicate(byVolume));
    await record('replication', () => client.replicate(direct));
    await record('verify', () => client.verify(direct));
    await record('prune', () => client.prune(direct));
    await record('check', () => client.check(direct));
    await disks.change(sandbox.site.hypervisor, random);
    await record('backup-cancelled', () => client.backup(direct), {
      fault: { kind: 'slow', milliseconds: 1500 },
      operations: ['PutObject'],
      cancelAfterMs: 1000,
      fails: true,
    });
    await record('backup-again', () => client.backup(direct));
    await record('restore-given-up-once', () => client.restore(direct), {
      fault: { kind: 'resource-error' },
      operations: ['CompleteSnapshot'],
      times: 1,
    });
    await record('failover-test', () => client.failover({ ...direct, mode: 'test' }));
    await record('failover-other-type', () => client.failover({ ...direct, mode: 'test' }), {
      fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
      operations: ['RunInstances'],
      times: 1,
    });
    const undone = { ...direct, mode: 'disaster', onFailure: 'undo' } as const;
    await record('failover-undone', () => client.failover(undone), {
      fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
      operations: ['RunInstances'],
      fails: true,
    });
    await record('failover-cancelled', () => client.failover({ ...direct, mode: 'disaster' }), {
      cancelAfterMs: 2500,
      fails: true,
    });
    for (const vm of VMS) await sandbox.site.hypervisor.deleteVm(vm);
    await record('failover-waiting', () => client.failover({ ...direct, mode: 'disaster' }), {
      fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
      operations: ['RunInstances'],
      mendWhenWaiting: 1,
    });
    await record('failback-undone', () => client.failback({ ...direct, onFailure: 'undo' }), {
      fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
      operations: ['CreateSnapshots'],
      fails: true,
    });
    await record('failback-cancelled', () => client.failback(direct), { cancelAfterMs: 2500, fails: true });
    await record('failback-waiting', () => client.failback(direct), {
      fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
      operations: ['CreateSnapshots'],
      mendWhenWaiting: VMS.length,
    });
    await record('commit', () => client.commit(direct));
    for (const vm of VMS) await sandbox.site.hypervisor.deleteVm(vm);
    await record('failover', () => client.failover({ ...direct, mode: 'disaster' }));
    await record('failback', () => client.failback(direct));
  } finally {
    await disks.forget();
    removeSystemDisks();
    await sandbox.close();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof AlreadyRunningError ? error.message : error);
    process.exit(1);
  },
);
