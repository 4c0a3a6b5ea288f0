import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AlreadyRunningError } from '../../client/errors';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { projectRoot } from '../../host/project-root';
import { type DrPlan } from '../../plan/schema';
import { ExpectedDisks } from '../chaos/disks';
import { SeededRandom } from '../chaos/random';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox } from '../support/e2e-sandbox';
import { removeSystemDisks } from '../chaos/guests';
import { Recorder, VMS } from './recorder';

/**
 * `npm run record-histories`: every workflow and scenario once, in a sandbox in which nothing boots, and its history in
 * histories/<version>/. CONTRIBUTING says when. With `later` behind `--`, those of the second journey only. What is recorded takes the place of what has its name; others stay, as some were made by tests' stubs.
 */

/** What a journey has. */
interface Site {
  sandbox: E2eSandbox;
  recorder: Recorder;
  disks: ExpectedDisks;
  random: SeededRandom;
  plan: DrPlan;
}

/** The first journey: what there was when histories were first kept, which unit tests look at. */
async function first({ sandbox, recorder, disks, random, plan }: Site): Promise<void> {
  const direct = await sandbox.publish(plan);
  const byVolume = await sandbox.publish({ ...plan, replication: { ...plan.replication, copy: 'volume' } });
  const { client } = sandbox;

  await recorder.record('restore-without-backup', () => client.restore(direct), { fails: true });
  await recorder.record('backup', () => client.backup(direct));
  await recorder.record('restore-full', () => client.restore(direct));
  await disks.change(sandbox.site.hypervisor, random);
  await recorder.record('backup-incremental', () => client.backup(direct));
  await recorder.record('restore-incremental', () => client.restore(direct));
  await disks.change(sandbox.site.hypervisor, random);
  await recorder.record('replication-volume-way', () => client.replicate(byVolume));
  await recorder.record('replication', () => client.replicate(direct));
  await recorder.record('verify', () => client.verify(direct));
  await recorder.record('prune', () => client.prune(direct));
  await disks.change(sandbox.site.hypervisor, random);
  await recorder.record('backup-cancelled', () => client.backup(direct), {
    fault: { kind: 'slow', milliseconds: 1500 },
    operations: ['PutObject'],
    cancelAfterMs: 1000,
    fails: true,
  });
  await recorder.record('backup-again', () => client.backup(direct));
  await recorder.record('restore-given-up-once', () => client.restore(direct), {
    fault: { kind: 'resource-error' },
    operations: ['CompleteSnapshot'],
    times: 1,
  });
  await recorder.record('failover-test', () => client.failover({ ...direct, mode: 'test' }));
  await recorder.record('failover-other-type', () => client.failover({ ...direct, mode: 'test' }), {
    fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
    operations: ['RunInstances'],
    times: 1,
  });
  const undone = { ...direct, mode: 'disaster', onFailure: 'undo' } as const;
  await recorder.record('failover-undone', () => client.failover(undone), {
    fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
    operations: ['RunInstances'],
    fails: true,
  });
  await recorder.record('failover-cancelled', () => client.failover({ ...direct, mode: 'disaster' }), {
    cancelAfterMs: 2500,
    fails: true,
  });
  for (const vm of VMS) await sandbox.site.hypervisor.deleteVm(vm);
  await recorder.record('failover-waiting', () => client.failover({ ...direct, mode: 'disaster' }), {
    fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
    operations: ['RunInstances'],
    mendWhenWaiting: 1,
  });
  await recorder.record('failback-undone', () => client.failback({ ...direct, onFailure: 'undo' }), {
    fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
    operations: ['CreateSnapshots'],
    fails: true,
  });
  await recorder.record('failback-cancelled', () => client.failback(direct), {
    cancelAfterMs: 2500,
    fails: true,
  });
  await recorder.record('failback-waiting', () => client.failback(direct), {
    fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
    operations: ['CreateSnapshots'],
    mendWhenWaiting: VMS.length,
  });
  await recorder.record('commit', () => client.commit(direct));
  for (const vm of VMS) await sandbox.site.hypervisor.deleteVm(vm);
  await recorder.record('failover', () => client.failover({ ...direct, mode: 'disaster' }));
  await recorder.record('failback', () => client.failback(direct));
}

/** The second: what came later. */
async function later({ sandbox, recorder, disks, random, plan }: Site): Promise<void> {
  const hooks: DrPlan['hooks'] = [
    { at: 'afterVmReady', vm: 'db', command: ['not-installed'] },
    { at: 'afterReady', command: ['not-installed'] },
  ];
  const direct = await sandbox.publish(plan);
  const { client } = sandbox;
  const homeSince = async (): Promise<string> => {
    const state = await sandbox.store.get(`state/${plan.name}.json`);
    return (JSON.parse(state?.body.toString() ?? '{}') as { homeSince?: string }).homeSince ?? '';
  };
  await (await client.replicate(direct)).result();
  const at = new Date().toISOString();
  await disks.change(sandbox.site.hypervisor, random);
  await (await client.replicate(direct)).result();
  await recorder.record('check', () => client.check(direct));
  await recorder.record('failover-test-kept', () => client.failover({ ...direct, mode: 'test', keep: 1 }));
  await recorder.record('failover-at', () => client.failover({ ...direct, mode: 'test', at }));
  const hooked = await sandbox.publish({ ...plan, hooks });
  await recorder.record('failover-test-hooks', () => client.failover({ ...hooked, mode: 'test' }));

  await recorder.record('failover-disaster', () => client.failover({ ...direct, mode: 'disaster' }));
  await recorder.record('undo-refused', () => client.undo(direct), { fails: true });
  // Its VMs are there, and the disks are not what they were.
  await disks.change(sandbox.site.hypervisor, random);
  await recorder.record('failback-survivors', () => client.failback(direct));
  const discardWritesSince = await homeSince();
  await recorder.record('undo-failback', () =>
    client.undo({ ...direct, discardWritesSince, homeLost: true }),
  );
}

async function main(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(projectRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  const directory = join(projectRoot(), 'test', 'replay', 'histories', version);
  const onlyLater = process.argv[2] === 'later';
  await mkdir(directory, { recursive: true });
  for (const journey of onlyLater ? [later] : [first, later]) await travel(directory, journey);
}

/** One journey, in a sandbox of its own. */
async function travel(directory: string, journey: (site: Site) => Promise<void>): Promise<void> {
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
    await journey({ sandbox, recorder: new Recorder(sandbox, directory, plan.name), disks, random, plan });
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
