import { randomUUID } from 'node:crypto';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { fetchRunHistory } from '../../activities/control/evidence/history';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { checkSchedules } from '../../client/check-schedules';
import { look } from '../../client/progress';
import { updateRun } from '../../client/run-updates';
import { type DrPlan } from '../../plan/schema';
import { bundleFor } from '../../wire/bundle-code';
import { dataConverterFor } from '../../wire/data-converter';
import { type RunStatus, troubleSignal } from '../../workflows/run/messages';
import { KeyFile, newKey } from '../support/codec-keys';
import { eventually } from '../support/eventually';
import { dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

const { History } = temporal.api.history.v1;
const { DescribeWorkflowExecutionResponse, QueryWorkflowResponse, ListWorkflowExecutionsResponse } =
  temporal.api.workflowservice.v1;

const VMS = ['ledgerbase', 'storefront'];
/** What a failure says: a message, and a type that stays readable. */
const REFUSED = 'the storefront at 10.99.88.77 was refused by subnet-0feedfacecafebeef';
const ZONE_ID = 'Z0SECRETZONE0';

function secretPlan(): DrPlan {
  const plan = dependent(VMS, { storefront: ['ledgerbase'] });
  plan.dns = {
    ...{ hostedZone: ZONE_ID, approval: true },
    records: [{ name: 'www.hidden.example', vm: 'storefront', address: 'private', ttl: 60 }],
  };
  return plan;
}

/** What a plan says, but for words that say nothing of it. */
function secretsOf(value: unknown): string[] {
  if (typeof value === 'string') return value.length > 6 && value !== 'private' ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(secretsOf) : [];
}

describeWithTemporal('a failover whose payloads are encrypted', () => {
  const server = temporalForTests();
  let keys: KeyFile;
  beforeAll(() => (keys = new KeyFile().write('k1', { k1: newKey() })));
  afterAll(() => keys.remove());

  const clientOf = (env: NodeJS.ProcessEnv): Client =>
    new Client({ connection: server().connection, dataConverter: dataConverterFor('default', env) });

  /** All that the server has of a workflow, as bytes: history, description, visibility, current details. */
  async function export_({ workflowId }: WorkflowHandle, runId?: string): Promise<string> {
    const { workflowService } = server().connection;
    const [namespace, execution] = ['default', { workflowId, runId }];
    const history = await clientOf({}).workflow.getHandle(workflowId, runId).fetchHistory();
    const described = await workflowService.describeWorkflowExecution({ namespace, execution });
    const listed = await workflowService.listWorkflowExecutions({ namespace });
    const queryType = '__temporal_workflow_metadata';
    const details = await workflowService.queryWorkflow({ namespace, execution, query: { queryType } });
    return [
      History.encode(history),
      DescribeWorkflowExecutionResponse.encode(described),
      ListWorkflowExecutionsResponse.encode(listed),
      QueryWorkflowResponse.encode(details),
    ]
      .map((message) => Buffer.from(message.finish()).toString('latin1'))
      .join('\n');
  }

  /**
   * A failover with all that people do meanwhile: it fails and is tried again, waits for a person, is paused and resumed, is approved.
   * @returns all that the server had of it, and its size in bytes
   */
  async function run(env: NodeJS.ProcessEnv, watch: (run: WorkflowHandle) => Promise<void> = async () => {}) {
    const plan = secretPlan();
    const tries = { launch: 0, start: 0 };
    let exported = '';
    const client = clientOf(env);
    const { outcome } = await failOverOn(
      server(),
      { plan: 'shop', mode: 'disaster' },
      {
        'launchShell storefront': () => {
          if (tries.launch++ === 0) throw ApplicationFailure.retryable(REFUSED, 'Network');
        },
        'startInstance storefront': () => {
          if (tries.start++ === 0) throw ApplicationFailure.nonRetryable(REFUSED, 'NotPermitted');
        },
      },
      {
        ...{ of: plan, env },
        meanwhile: async (run) => {
          const one = { workflowId: run.workflowId, runId: (await run.describe()).runId };
          const status = () => run.query<RunStatus>('status');
          try {
            await eventually(60, async () =>
              (await status()).vms.some(({ phase }) => phase === 'needs attention') ? true : undefined,
            );
            await run.signal(troubleSignal, { vm: 'storefront', text: REFUSED });
            expect(JSON.stringify((await look(client, one)).snapshot.status)).toContain('10.99.88.77');
            await updateRun(client, one, 'pause', {
              by: 'ada',
              why: 'subnet-0feedfacecafebeef is looked at',
            });
            await updateRun(client, one, 'resume', { by: 'ada', why: 'go on' });
            await updateRun(client, one, 'retry', {});
            await eventually(60, async () =>
              (await status()).awaited?.[0]?.gate === 'DNS' ? true : undefined,
            );
            await watch(run);
            exported = await export_(run);
            for (const vm of VMS)
              exported += await export_(client.workflow.getHandle(`${run.workflowId}:${vm}`));
            await updateRun(client, one, 'approve', {
              dns: true,
              by: 'ada',
              why: 'www.hidden.example may move',
            });
          } catch (error) {
            await run.terminate().catch(() => undefined);
            throw error;
          }
        },
      },
    );
    expect(outcome).toMatchObject({ approvals: [{ gate: 'DNS', by: 'ada' }] });
    // Ids of workflows stay readable, and have the names of plan and VMs in them.
    return exported.replace(/failover-[0-9a-f-]{36}(:[a-z]+)?/g, 'ID');
  }

  it('shows nothing of the plan in all that the server keeps, is replayed, and is read by who has the keys', async () => {
    const secrets = [
      ...new Set([...secretsOf(secretPlan()), ...VMS, '10.99.88.77', 'subnet-0feedfacecafebeef']),
    ];
    expect(secrets).toEqual(
      expect.arrayContaining(['www.hidden.example', 'lifeboat-shop', '192.168.10.100', ZONE_ID]),
    );
    const found = (text: string): string[] => secrets.filter((secret) => text.includes(secret));

    const encrypted = await run(keys.env, async (handle) => {
      const client = clientOf(keys.env);
      const history = await client.workflow.getHandle(handle.workflowId).fetchHistory();
      await Worker.runReplayHistory(
        {
          workflowBundle: await bundleFor(dataConverterFor('default', keys.env), await productBundle()),
          dataConverter: dataConverterFor('default', keys.env),
        },
        history,
        handle.workflowId,
      );
      // The evidence, as a control worker reads it.
      const { children } = await fetchRunHistory(client, handle.workflowId, (await handle.describe()).runId);
      const steps = children.flatMap(({ history }) => history.steps);
      expect(steps.filter(({ error }) => error === REFUSED).map(({ activity }) => activity)).toEqual([
        'launchShell',
        'startInstance',
      ]);
      expect(steps.map(({ label }) => label)).toContain('launch instance · storefront · m6i.large');
    });
    expect(found(encrypted)).toEqual([]);
    expect(encrypted).toContain('Encoded failure');

    const plain = await run({});
    expect(found(plain)).toEqual(
      expect.arrayContaining([...VMS, '10.99.88.77', 'www.hidden.example', ZONE_ID]),
    );
  }, 180_000);

  it('is begun by a schedule, too', async () => {
    const client = clientOf(keys.env);
    const schedules = checkSchedules(client);
    await schedules.set('shop', 86_400);
    await schedules.set('shop', 43_200);
    const worker = await Worker.create({
      ...{ connection: server().nativeConnection, taskQueue: CONTROL_QUEUE },
      dataConverter: dataConverterFor('default', keys.env),
      workflowBundle: await bundleFor(dataConverterFor('default', keys.env), await productBundle()),
      activities: { loadPlan: () => Promise.reject(ApplicationFailure.nonRetryable(REFUSED)) },
    });
    await worker.runUntil(async () => {
      await schedules.trigger('shop');
      const { workflowId } = await eventually(
        60,
        async () => (await schedules.describe('shop'))?.recentRuns[0],
      );
      // Failed by what loadPlan said: the schedule's argument was read.
      const failure = await client.workflow
        .getHandle(workflowId)
        .result()
        .then(String, (error: Error) => error);
      expect(String(((failure as Error).cause as Error).cause)).toContain(REFUSED);
    });
    await schedules.delete('shop');
  }, 90_000);

  it('waits for its key where a worker lacks it, and says which one', async () => {
    const client = clientOf(keys.env);
    const handle = await client.workflow.start('check', {
      ...{ taskQueue: CONTROL_QUEUE, workflowId: `check-${randomUUID()}`, args: [{ plan: 'shop' }] },
    });
    const worker = await Worker.create({
      ...{ connection: server().nativeConnection, taskQueue: CONTROL_QUEUE },
      dataConverter: dataConverterFor('default', {}),
      workflowBundle: await productBundle(),
      activities: {},
    });
    await worker.runUntil(async () => {
      const told = await eventually(60, async () => {
        const { events } = await handle.fetchHistory();
        return events?.find(({ workflowTaskFailedEventAttributes: failed }) => failed)
          ?.workflowTaskFailedEventAttributes?.failure?.message;
      });
      expect(told).toMatch(
        /encrypted with the key "k1", and this process has no keys: set LIFEBOAT_CODEC_KEYS/,
      );
    });
    // Another worker has it, or this one after it was told.
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await handle.terminate();
  }, 90_000);
});
