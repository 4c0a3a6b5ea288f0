import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { loadPlanFile } from '../../plan/load';
import { shopPrimaryAddress } from '../../sandbox/application';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { installShopWithArchive, orders, placeOrder, shopAddress } from '../support/e2e-shop';

/** Two guests boot three times under emulation; on a busy machine that takes a quarter of an hour. */
const STORY_MS = 1_500_000;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('the sample application, whose data centre survives (needs root)', () => {
  let sandbox: E2eSandbox;

  beforeAll(
    async () => {
      sandbox = await openE2eSandbox('survivors', { runner: 'qemu', application: 'none' });
      await installShopWithArchive(sandbox);
    },
    SANDBOX_SECONDS * 1000 + STORY_MS,
  );
  afterAll(async () => {
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  it(
    'comes home to its VMs by few blocks, with the orders of EC2, and without those that no backup has',
    async () => {
      const { client } = sandbox;
      const { hypervisor } = sandbox.site;
      const { plan, scripts } = await loadPlanFile(join(projectRoot(), 'examples/shop/plan.yaml'));
      const argument = await sandbox.publish(plan, scripts);
      await placeOrder(sandbox, 'before the backup');
      await (await client.backup(argument)).result();
      await (await client.restore(argument)).result();
      await placeOrder(sandbox, 'after the backup');

      // The disaster is a loss of power.
      for (const vm of ['web', 'db']) await hypervisor.powerOff(vm);
      const away = await (await client.failover({ ...argument, mode: 'disaster' })).result();
      expect(away.vms.map(({ launchedBy }) => launchedBy)).toEqual(['launch copy', 'launch copy']);
      await placeOrder(sandbox, 'on EC2');
      expect(await orders(sandbox)).toEqual(['before the backup', 'on EC2']);

      const { vms } = await (await client.failback(argument)).result();
      expect(await shopAddress(sandbox)).toBe(shopPrimaryAddress(sandbox.config));
      expect(await orders(sandbox)).toEqual(['before the backup', 'on EC2']);
      const counts = { travelled: 0, compared: 0 };
      for (const { vm, survived, firstCopy, changes, warnings } of vms) {
        expect({ vm, survived, warnings }).toEqual({ vm, survived: true, warnings: [] });
        for (const { blocks } of [...firstCopy, ...changes]) counts.travelled += blocks;
        for (const { comparedBlocks = 0 } of firstCopy) counts.compared += comparedBlocks;
        expect((await hypervisor.describeVm(vm)).heldBy).toBeUndefined();
      }
      expect(counts.travelled).toBeGreaterThan(0);
      expect(counts.travelled).toBeLessThan(0.05 * counts.compared);
      await (await client.commit(argument)).result();
      const besides = (await sandbox.site.list()).flatMap((listed) => listed.besides);
      expect(besides).toEqual([]);
    },
    STORY_MS,
  );
});
