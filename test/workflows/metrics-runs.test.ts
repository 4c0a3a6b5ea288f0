import { publishPlan } from '../../repository/plans/plans';
import { type WorkflowType, workflowId } from '../../workflows/run/ids';
import {
  AWAITS_APPROVAL,
  NEEDS_ATTENTION,
  PAUSED,
  phaseAttribute,
  planAttribute,
} from '../../workflows/run/messages';
import { runFacts } from '../../workers/metrics/run-facts';
import { plainPlan } from '../support/e2e-plan';
import { eventually } from '../support/eventually';
import { MemoryObjectStore } from '../support/memory-object-store';
import { describeWithTemporal, temporalForTests } from './local-temporal';

/** Visibility follows what happens, at its own pace. */
const SECONDS = 30;

describeWithTemporal('what Temporal says of runs', () => {
  const server = temporalForTests();

  it(
    'is told by plan and reason, with zeros where nothing waits',
    async () => {
      const store = new MemoryObjectStore();
      for (const name of ['shop', 'wiki']) await publishPlan(store, plainPlan(name, ['vm']), []);
      const { client } = server();
      const start = (plan: string, type: WorkflowType, phase: string) =>
        // Nobody polls the queue: it stays as it is.
        client.workflow.start(type, {
          taskQueue: 'nobody',
          workflowId: workflowId(plan, type),
          typedSearchAttributes: [
            { key: planAttribute, value: plan },
            { key: phaseAttribute, value: phase },
          ],
        });
      await start('shop', 'failover', NEEDS_ATTENTION);
      await start('shop', 'undo', NEEDS_ATTENTION);
      await start('shop', 'failback', AWAITS_APPROVAL);
      await start('shop', 'check', 'asking for the proxies');
      const held = await start('wiki', 'failover', PAUSED);
      await start('elsewhere', 'failover', PAUSED);

      const waiting = async () => {
        const samples = await runFacts(store).look(client);
        return samples.map(({ name, labels, value }) => [name, labels.plan, labels.reason, value]);
      };
      const name = 'lifeboat_runs_waiting';
      const wanted = (paused: number) => [
        [name, 'shop', 'attention', 2],
        [name, 'shop', 'approval', 1],
        [name, 'shop', 'paused', 0],
        [name, 'wiki', 'attention', 0],
        [name, 'wiki', 'approval', 0],
        [name, 'wiki', 'paused', paused],
      ];
      const told = async (paused: number) => {
        const sameAs = async () => {
          last = await waiting();
          return JSON.stringify(last) === JSON.stringify(wanted(paused)) ? last : undefined;
        };
        let last: unknown;
        return eventually(SECONDS, sameAs).catch(() => last);
      };
      expect(await told(1)).toEqual(wanted(1));
      await held.terminate();
      expect(await told(0)).toEqual(wanted(0));
    },
    3 * SECONDS * 1000,
  );
});
