import { type SandboxConfig } from '../config';
import { familyPrimaryAddress, shopPrimaryAddress } from '../application';
import { siteOf } from '../datacenter/site-of';
import { keepEvidencePage, proveEvidence } from './evidence-pages';
import { listLeftovers } from './site-listing';
import { openNewDatacenter, startBackupProxiesAfresh } from './new-datacenter';
import { type AddressOf, type OtherGuests } from './other-guests';
import { type PlanRuns } from './plan-runs';
import { type DemoReport } from './report';
import { type ShopClient } from './shop-client';
import { prove, type Steps } from './steps';
import { expectShop, watchShop } from './shop-proofs';

/** What is ordered, and when: before the first backup, between the backups, and on EC2. */
const ORDERS = {
  beforeBackup: 'a lifeboat for twelve',
  betweenBackups: 'two life rings',
  onEc2: 'a signal lamp',
};

/** Where the story plays. */
export interface Stage {
  config: SandboxConfig;
  steps: Steps;
  runs: PlanRuns;
  shop: ShopClient;
  others: OtherGuests;
  report: DemoReport;
}

/**
 * The story from the first order to a clean house; each step is proved by what the application itself says.
 * @throws StepFailedError
 */
export async function tellStory(stage: Stage): Promise<void> {
  await protect(stage);
  await loseAndRecover(stage);
  await comeHome(stage);
}

const inAll = <T>(vms: { disks: T[] }[]): T[] => vms.flatMap(({ disks }) => disks);

/** Two orders, each followed by a backup and a restore; then a test of what would happen. */
export async function protect({ config, steps, runs, shop, others, report }: Stage): Promise<void> {
  const primary = shopPrimaryAddress(config);
  const home: AddressOf = (vm) => familyPrimaryAddress(config, vm);
  const orders: string[] = [];

  for (const [name, item, kind] of [
    ['order 1', ORDERS.beforeBackup, 'full'],
    ['order 2', ORDERS.betweenBackups, 'incremental'],
  ] as const) {
    await steps.take(name, async () => {
      await shop.order(item);
      orders.push(item);
      await expectShop(shop, primary, orders);
      await others.keepNote(home, item);
      return { proof: `"${item}" is on the page at ${primary}.${await others.proof(home)}` };
    });
    await steps.take(`backup (${kind})`, async () => {
      const { vms } = await runs.run('backup');
      const others = vms.filter((vm) => vm.kind !== kind).map(({ vm }) => vm);
      prove(others.length === 0, `the backup of ${others.join(' and ')} is not ${kind}.`);
      await expectShop(shop, primary, orders);
      const instants = vms.map(({ vm, takenAt }) => `${vm} as of ${takenAt}`).join(', ');
      return { copied: inAll(vms), proof: `Backed up ${instants}.` };
    });
    await steps.take(`restore (${kind})`, async () => {
      const { vms } = await runs.run('restore');
      const others = vms.filter((vm) => vm.kind !== kind).map(({ vm }) => vm);
      prove(others.length === 0, `the restore of ${others.join(' and ')} is not ${kind}.`);
      const snapshots = inAll(vms).map(({ snapshotId }) => snapshotId);
      const unready = vms.find(({ launchCopy }) => launchCopy?.outcome !== 'made');
      prove(
        unready === undefined,
        `there is no new launch copy of ${unready?.vm}: ${unready?.launchCopy?.reason}`,
      );
      return { copied: inAll(vms), proof: `The DR copy is ${snapshots.join(', ')}, and ready to launch.` };
    });
  }

  await steps.take('test failover', async () => {
    const meanwhile = watchShop(shop);
    const { vms, removed, ...left } = await runs
      .run('failover', { mode: 'test' })
      .finally(() => meanwhile.stop());
    const views = meanwhile.views();
    prove(views.length > 0, 'nobody asked the application while the test went on.');
    const astray = views.find(({ address }) => address !== primary);
    prove(astray === undefined, `the application's name led to ${astray?.address} during the test.`);
    await expectShop(shop, primary, orders);
    const { plan, store } = runs.published;
    const leftovers = await listLeftovers(config, plan, store);
    prove(leftovers.length === 0, `the test left behind: ${leftovers.join(', ')}.`);
    report.evidence = await keepEvidencePage(store, plan.name, left);
    const ready = vms.map(({ vm, instanceId }) => `${vm} (${instanceId})`).join(' and ');
    return {
      proof:
        `${ready} came up in the test subnet, ${removed.length} resources were removed, ` +
        `and the application answered ${views.length} times from ${primary} meanwhile. Evidence: ${report.evidence}`,
    };
  });
}

/** The data centre is gone; the application comes up on EC2, with all that was replicated. */
export async function loseAndRecover({ config, steps, runs, shop, others, report }: Stage): Promise<void> {
  const site = siteOf(config);
  const primary = shopPrimaryAddress(config);
  const orders = [ORDERS.beforeBackup, ORDERS.betweenBackups];
  let recovered = '';
  let away: AddressOf = () => '';

  await steps.take('disaster', async () => {
    await site.destroy();
    const vms = await site.survivors();
    prove(vms.length === 0, `${vms.join(' and ')} survived.`);
    const survivor = await shop.view().catch(() => undefined);
    prove(survivor === undefined, `the application still answers at ${survivor?.address}.`);
    return { proof: 'The VMs are killed, their disks deleted; the application does not answer any more.' };
  });

  await steps.take('failover', async () => {
    const { vms, rpoSeconds, rtoSeconds } = await runs.run('failover', {
      mode: 'disaster',
      onFailure: 'undo',
    });
    Object.assign(report, { rpoSeconds, rtoSeconds });
    const longer = vms.filter(({ launchedBy }) => launchedBy !== 'launch copy').map(({ vm }) => vm);
    prove(longer.length === 0, `${longer.join(' and ')} did not come up by a launch copy.`);
    recovered = vms.find(({ vm }) => vm === 'web')?.publicAddress ?? '';
    prove(recovered !== '' && recovered !== primary, 'web has no public address at the recovery site.');
    report.orders.afterFailover = (await expectShop(shop, recovered, orders)).orders;
    away = (name) => vms.find(({ vm }) => vm === name)?.publicAddress ?? '';
    return { proof: `www.shop.example is ${recovered} now, with both orders.${await others.proof(away)}` };
  });

  await steps.take('order 3', async () => {
    await shop.order(ORDERS.onEc2);
    await expectShop(shop, recovered, [...orders, ORDERS.onEc2]);
    await others.keepNote(away, ORDERS.onEc2);
    return { proof: `"${ORDERS.onEc2}" was ordered on EC2.` };
  });
}

/** Into a data centre where nothing is, by a backup proxy that knows nothing. */
export async function comeHome({ config, steps, runs, shop, others, report }: Stage): Promise<void> {
  const primary = shopPrimaryAddress(config);
  const orders = Object.values(ORDERS);

  await steps.take('new data centre', async () => {
    await openNewDatacenter(config);
    const pids = await startBackupProxiesAfresh(config);
    return { proof: `It is empty, and its backup proxy runs as a new process, ${pids.join(' and ')}.` };
  });

  await steps.take('failback', async () => {
    const { vms, downtimeSeconds } = await runs.run('failback', { onFailure: 'undo' });
    report.orders.afterFailback = (await expectShop(shop, primary, orders)).orders;
    return {
      copied: vms.flatMap(({ firstCopy, changes }) => [...firstCopy, ...changes]),
      proof:
        `All three orders are home, at ${primary}; the application was away for ${downtimeSeconds} s.` +
        (await others.proof((vm) => familyPrimaryAddress(config, vm))),
    };
  });

  await steps.take('commit', async () => {
    const { removed } = await runs.run('commit');
    await expectShop(shop, primary, orders);
    return { proof: `${removed.length} resources were removed at the recovery site.` };
  });

  await steps.take('leftovers', async () => {
    const { plan, store } = runs.published;
    report.leftovers = await listLeftovers(config, plan, store);
    prove(report.leftovers.length === 0, `this was left behind: ${report.leftovers.join(', ')}.`);
    // Of the test, the failover and the failback.
    await proveEvidence(store, plan.name, 3);
    return {
      proof:
        'Neither site holds anything but the application and its DR copy; the evidence of three runs is whole.',
    };
  });
}
