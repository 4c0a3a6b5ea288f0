import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { type UndoRequest, type UndoSummary } from '../../workflows/undo-request';
import { endRun } from '../support/end-run';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { dependent } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';
import { HOME_SINCE, RECOVERED_AT, TwoSites } from './two-sites';

/** The error at the bottom of a chain of failures. */
function rootOf(error: Error): Error {
  return error.cause instanceof Error ? rootOf(error.cause) : error;
}

/** On a real Temporal server, with the product's own state of a plan and what goes by it. */
describeWithTemporal('an undo', () => {
  const server = temporalForTests();

  const plan = dependent(['db', 'web'], { web: ['db'] });
  plan.dns = {
    hostedZone: SHOP_HOSTED_ZONE_ID,
    records: [{ name: 'www.shop.example', vm: 'web', address: 'private', ttl: 60 }],
  };
  const broken = (what: string) => ApplicationFailure.nonRetryable(what, 'Broken');

  async function undo(sites: TwoSites, request: Partial<UndoRequest> = {}): Promise<UndoSummary | Error> {
    const stop = await sites.work(server());
    try {
      const run = await server().client.workflow.start<(asked: UndoRequest) => Promise<UndoSummary>>('undo', {
        workflowId: `undo-${randomUUID()}`,
        taskQueue: CONTROL_QUEUE,
        args: [{ plan: 'shop', ...request }],
        workflowExecutionTimeout: '100s',
      });
      return await run.result().catch(rootOf);
    } finally {
      // What keeps the VMs off at home outlives the run.
      await endRun(server().client.workflow.getHandle('lifeboat:shop:fence'));
      await stop();
    }
  }

  const STEPS = ['stopInstance', 'startInstance', 'powerOn', 'powerOff', 'shutDown', 'moveDns', 'returnDns'];

  describe('of a failover', () => {
    const said = { discardWritesSince: RECOVERED_AT };
    const failedOver = async (): Promise<TwoSites> => {
      const sites = new TwoSites(plan);
      await sites.be('failed-over', { fence: true });
      return sites;
    };

    it.each([
      [
        'nothing',
        {},
        /discards for good what db, web wrote on EC2 since 2026-11-30T10:00:00\.250Z\. If that/,
      ],
      [
        'another instant',
        { discardWritesSince: '2026-11-30T10:00:00Z' },
        /not what was said \(2026-11-30T10:00:00Z\)/,
      ],
      ['no instant', { discardWritesSince: 'yes' }, /--discard-writes-since 2026-11-30T10:00:00\.250Z/],
    ])(
      'is refused where %s was said, and tells what to say',
      async (_what, request, message) => {
        const sites = await failedOver();
        const before = await sites.state();
        const outcome = await undo(sites, request);
        expect(outcome).toMatchObject({
          type: 'DiscardNotSaid',
          message: expect.stringMatching(message) as string,
        });
        expect(sites.calls).toEqual(['readInstances']);
        expect(await sites.state()).toEqual(before);
      },
      120_000,
    );

    it('stops the instances before the first VM starts at home, and removes them when DNS is there', async () => {
      const sites = await failedOver();
      expect(await undo(sites, said)).toMatchObject({
        ...{ undone: 'failover', discardedSince: RECOVERED_AT, removed: ['i-db'] },
        vms: [{ vm: 'db' }, { vm: 'web' }],
      });
      expect(sites.of(...STEPS, 'removeRecoverySite')).toEqual([
        ...[
          'stopInstance web',
          'stopInstance db',
          'powerOn db',
          'powerOn web',
          'returnDns',
          'removeRecoverySite',
        ],
      ]);
      expect(sites.twice).toBeUndefined();
      const state = await sites.state();
      expect(state).toMatchObject({ phase: 'protected' });
      expect([state?.fence, state?.undoing, state?.homeSince]).toEqual([undefined, undefined, undefined]);
    }, 120_000);

    it.each([
      [
        'a VM is not at home',
        (sites: TwoSites) => sites.home.delete('web'),
        /no VM "web"\. To undo a failover/,
      ],
      [
        'a VM at home is what a terminated failback has left',
        async (sites: TwoSites) => {
          await sites.leave('failing-back', 'dead-failback');
          await sites.leave('failed-over', 'next');
          sites.home.set('web', { power: 'off', mark: 'lifeboat:shop:dead-failback' });
        },
        /no VM "web" that is whole/,
      ],
    ])(
      'is refused where %s',
      async (_what, prepare, message) => {
        const sites = await failedOver();
        await prepare(sites);
        const outcome = await undo(sites, said);
        expect(outcome).toMatchObject({ message: expect.stringMatching(message) as string });
        expect(sites.of(...STEPS)).toEqual([]);
        expect(await sites.state()).toMatchObject({ phase: 'failed-over' });
      },
      120_000,
    );

    it.each(['waitUntilReady at home web', 'stopInstance db', 'returnDns'])(
      'takes itself back where it fails at: %s',
      async (call) => {
        const sites = await failedOver();
        sites.faults.set(call, broken('It is broken.'));
        const outcome = await undo(sites, said);
        expect(outcome).toMatchObject({ message: expect.stringContaining('It is broken.') as string });
        expect([sites.running('home'), sites.running('recovery')]).toEqual([[], ['db', 'web']]);
        expect(sites.of('removeRecoverySite')).toEqual([]);
        // A stop costs an instance its public address.
        expect(sites.calls.lastIndexOf('moveDns')).toBeGreaterThan(
          sites.calls.lastIndexOf('startInstance db'),
        );
        expect(sites.dns).toBe('recovery');
        expect(sites.twice).toBeUndefined();
        expect(await sites.state()).toMatchObject({ phase: 'failed-over', fence: { order: 'open' } });
        expect((await sites.state())?.undoing).toBeUndefined();
      },
      120_000,
    );

    it('starts every instance again that starts, where it takes itself back', async () => {
      const sites = await failedOver();
      sites.faults.set('waitUntilReady at home web', broken('It is broken.'));
      sites.faults.set('startInstance db', broken('There is no capacity.'));
      const outcome = await undo(sites, said);
      expect(outcome).toMatchObject({
        message: expect.stringContaining('There is no capacity.') as string,
      });
      expect(sites.running('recovery')).toEqual(['web']);
    }, 120_000);

    it('is gone on with where it has died half-way, and no failback takes it for one of its own', async () => {
      const sites = await failedOver();
      await sites.leave('failing-back', 'dead-undo', { undoing: 'failover' });
      sites.instances.set('web', 'stopped');
      expect((await sites.state())?.unfinishedFailbacks).toBeUndefined();
      sites.faults.set('waitUntilReady at home web', broken('It is broken.'));
      sites.home.set('db', { power: 'running' });
      await undo(sites, said);
      // What the dead one has started is stopped, too.
      expect([sites.running('home'), sites.running('recovery')]).toEqual([[], ['db', 'web']]);

      sites.faults.clear();
      await sites.leave('failing-back', 'dead-again', { undoing: 'failover' });
      expect(await undo(sites, said)).toMatchObject({ undone: 'failover' });
      expect([sites.running('home'), sites.running('recovery')]).toEqual([['db', 'web'], []]);
      expect(await sites.state()).toMatchObject({ phase: 'protected' });
    }, 120_000);

    it('is finished by a commit where it dies after DNS is home', async () => {
      const sites = await failedOver();
      sites.faults.set('removeRecoverySite', broken('You may not.'));
      expect(await undo(sites, said)).toMatchObject({
        message: expect.stringContaining('You may not.') as string,
      });
      expect([sites.running('home'), sites.running('recovery'), sites.dns]).toEqual([
        ['db', 'web'],
        [],
        'home',
      ]);
      expect(await sites.state()).toMatchObject({ phase: 'failed-back' });
    }, 120_000);
  });

  describe('of a failback', () => {
    const said = { discardWritesSince: HOME_SINCE };
    const failedBack = async (): Promise<TwoSites> => {
      const sites = new TwoSites(plan);
      await sites.be('failed-over', { fence: true });
      await sites.leave('failed-back', 'failback', { homeSince: HOME_SINCE });
      for (const vm of ['db', 'web']) {
        sites.home.set(vm, { power: 'running', mark: 'lifeboat:shop:failback' });
        sites.instances.set(vm, 'stopped');
      }
      sites.dns = 'home';
      return sites;
    };

    it('is refused until the instant of the stop is said', async () => {
      const sites = await failedBack();
      const outcome = await undo(sites, { discardWritesSince: RECOVERED_AT });
      expect(outcome).toMatchObject({
        type: 'DiscardNotSaid',
        message: expect.stringMatching(/wrote at the primary site since 2026-11-30T12:00:00\.500Z/) as string,
      });
      expect(sites.of(...STEPS)).toEqual([]);
      expect(await sites.state()).toMatchObject({ phase: 'failed-back' });
    }, 120_000);

    it('stops the VMs at home before the first instance starts, leaves them there, and has them fenced', async () => {
      const sites = await failedBack();
      sites.deaf.add('db');
      expect(await undo(sites, said)).toMatchObject({
        ...{ undone: 'failback', discardedSince: HOME_SINCE, removed: [] },
        warnings: ['db did not shut down at the primary site; its power was taken.'],
        fence: { workflowId: 'lifeboat:shop:fence' },
      });
      expect(sites.of(...STEPS)).toEqual([
        ...['shutDown web', 'shutDown db', 'powerOff db', 'startInstance db', 'startInstance web', 'moveDns'],
      ]);
      expect(sites.twice).toBeUndefined();
      expect([...sites.home.values()]).toEqual([
        { power: 'off', mark: 'lifeboat:shop:failback' },
        { power: 'off', mark: 'lifeboat:shop:failback' },
      ]);
      const state = await sites.state();
      expect(state).toMatchObject({ phase: 'failed-over', fence: { order: 'open' } });
      expect([state?.homeSince, state?.undoing]).toEqual([undefined, undefined]);
    }, 120_000);

    it.each(['waitUntilReady on EC2 web', 'moveDns', 'shutDown db'])(
      'takes itself back where it fails at: %s',
      async (call) => {
        const sites = await failedBack();
        sites.faults.set(call, broken('It is broken.'));
        const outcome = await undo(sites, said);
        expect(outcome).toMatchObject({ message: expect.stringContaining('It is broken.') as string });
        expect([sites.running('home'), sites.running('recovery'), sites.dns]).toEqual([
          ['db', 'web'],
          [],
          'home',
        ]);
        expect(sites.twice).toBeUndefined();
        expect(await sites.state()).toMatchObject({ phase: 'failed-back', homeSince: HOME_SINCE });
      },
      120_000,
    );

    it('stops nothing in a data centre that is lost, and leaves that to the fence', async () => {
      const sites = await failedBack();
      sites.home.clear();
      expect(await undo(sites, { ...said, homeLost: true })).toMatchObject({ undone: 'failback' });
      expect(sites.of(...STEPS)).toEqual(['startInstance db', 'startInstance web', 'moveDns']);
      expect(await sites.state()).toMatchObject({ phase: 'failed-over', fence: { order: 'open' } });
    }, 120_000);
  });

  it.each(['protected', 'failing-over'] as const)(
    'of a plan that is %s is refused',
    async (phase) => {
      const sites = new TwoSites(plan);
      await sites.be(phase);
      expect(await undo(sites, { discardWritesSince: RECOVERED_AT })).toMatchObject({ type: 'WrongPhase' });
      expect(sites.calls).toEqual([]);
    },
    120_000,
  );
});
