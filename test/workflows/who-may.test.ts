import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { explainError } from '../../cli/explain-error';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { projectRoot } from '../../host/project-root';
import { type DrPlan } from '../../plan/schema';
import { freePort } from '../../sandbox/free-ports';
import { type FailoverSummary } from '../../workflows/failover';
import { type RunStatus } from '../../workflows/run/messages';
import { type CertificateFiles, Certificates } from '../support/certificates';
import { eventually } from '../support/eventually';
import { dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const FILTER = join(projectRoot(), 'deploy/temporal-filter/filter.mjs');
const OPERATOR = 'bob@example.com';
const APPROVER = 'alice@example.com';

/** The filter of deploy/temporal-filter with its own rules, before a real server; people come through it, workers do not. */
describeWithTemporal('who may what, through the filter before the server', () => {
  const server = temporalForTests();
  const certificates = new Certificates();
  const ca = certificates.authority('people');
  const opened: Connection[] = [];
  let filter: ChildProcess;
  let address: string;
  let said = '';

  beforeAll(async () => {
    const own = certificates.issue('filter', { by: 'people', names: 'IP:127.0.0.1' });
    address = `127.0.0.1:${await freePort()}`;
    filter = spawn(process.execPath, [FILTER], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env.PATH,
        FILTER_LISTEN: address,
        FILTER_CERT: own.cert,
        FILTER_KEY: own.key,
        FILTER_CLIENT_CA: ca,
        UPSTREAM: `http://${server().address}`,
      },
    });
    filter.stdout?.on('data', (data) => (said += String(data)));
    await eventually(60, () => Promise.resolve(said.includes('listening') ? true : undefined));
  }, 120_000);
  afterAll(async () => {
    for (const connection of opened) await connection.close();
    if (filter.exitCode === null && filter.kill()) await once(filter, 'exit');
    certificates.remove();
  });

  async function connect({ cert, key }: CertificateFiles): Promise<Client> {
    const connection = await Connection.connect({
      address,
      tls: {
        serverRootCACertificate: readFileSync(ca),
        clientCertPair: { crt: readFileSync(cert), key: readFileSync(key) },
      },
    });
    opened.push(connection);
    return new Client({ connection, identity: 'whoever I say I am' });
  }
  const as = async (name: string): Promise<LifeboatClient> =>
    lifeboatClient({ client: await connect(certificates.issue(name, { by: 'people' })) });
  /** The sentence that the command would end with. */
  const refusal = async (work: Promise<unknown>): Promise<string> => {
    const error: unknown = await work.then(
      () => new Error('It was let through.'),
      (reason: unknown) => reason,
    );
    return explainError(error).message;
  };
  /** Waits until the filter has told that: its line comes by another way than the answer, and may be later. */
  const untilLogged = (entry: Record<string, unknown>): Promise<void> =>
    eventually(10, async () => {
      const lines = said.split('\n').slice(0, -1);
      expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual(expect.objectContaining(entry));
      return true;
    }).then(() => undefined);

  it('an operator starts a test and approves in it, but starts no failover, and approves nothing of one', async () => {
    const operator = await as(OPERATOR);
    const approver = await as(APPROVER);
    const argument = { plan: 'shop', digest: '0'.repeat(64) };
    expect(await refusal(operator.failover({ ...argument, mode: 'disaster' }))).toBe(
      'Temporal does not let you do that: the role operator may not start failover lifeboat:shop:failover. ' +
        'Who may what is settled before it (docs/security.md).',
    );
    expect(await refusal(operator.commit(argument))).toMatch(/may not start commit/);

    const plan: DrPlan = { ...dependent(['db'], {}), dns: { ...DNS, approval: true } };
    let history: temporal.api.history.v1.IHistory | undefined;
    const { outcome } = await failOverOn(
      server(),
      { plan: 'shop', mode: 'disaster' },
      {},
      {
        ...{ of: plan, workflowId: 'lifeboat:shop:failover' },
        async meanwhile(run) {
          await eventually(60, async () =>
            (await run.query<RunStatus>('status')).awaited === undefined ? undefined : true,
          );
          const decision = { dns: true, by: 'alice', why: 'all is well' };
          expect(await refusal(operator.decisions.approve('shop', decision))).toMatch(
            /the role operator may not update approve lifeboat:shop:failover/,
          );
          const { run: found } = await operator.decisions.whatCancelTakesBack('shop');
          expect(await refusal(found.handle.cancel())).toMatch(/may not cancel/);
          await approver.decisions.approve('shop', decision);
          await run.result();
          history = await run.fetchHistory();

          // Of a test, operators decide; and whoever takes its id for a failover has asked for nothing.
          const test = await operator.failover({ ...argument, mode: 'test' });
          expect(await test.result()).toMatchObject({ mode: 'test' });
          const trick = await operator.temporal.workflow.start('failover', {
            ...{ workflowId: 'lifeboat:shop:failover-test', taskQueue: CONTROL_QUEUE },
            args: [{ plan: 'shop', mode: 'disaster' }],
          });
          await expect(trick.result()).rejects.toMatchObject({
            cause: {
              message: expect.stringMatching(/is the id of a test failover of the plan shop/) as string,
            },
          });
        },
      },
    );
    expect((outcome as FailoverSummary).approvals).toMatchObject([{ gate: 'DNS', by: 'alice' }]);
    // Whatever the client calls itself, the history has the name of its certificate.
    const updates = (history?.events ?? []).flatMap(
      (event) => event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.meta?.identity ?? [],
    );
    expect(updates).toEqual([`${APPROVER} (approver)`]);
    await untilLogged({
      ...{ who: OPERATOR, method: 'UpdateWorkflowExecution', about: 'approve lifeboat:shop:failover' },
      allowed: false,
    });
  }, 150_000);

  it('what no rule allows is refused: other calls, other namespaces, a viewer, a stranger, the work of workers', async () => {
    const operator = await as(OPERATOR);
    const viewer = await as('web-ui');
    const stranger = await as('mallory@example.com').catch((error: unknown) => error);
    const argument = { plan: 'wiki', digest: '0'.repeat(64) };
    // The first call that any client makes is refused.
    expect(String((stranger as Error).cause ?? stranger)).toMatch(/mallory@example.com has no role here/);
    expect(await refusal(viewer.failover({ ...argument, mode: 'test' }))).toMatch(
      /the role viewer may not start/,
    );
    expect(await viewer.attach('failover', { plan: 'wiki' })).toBeUndefined();

    const { workflowService } = operator.temporal;
    const id = { workflowId: 'lifeboat:wiki:failover-test' };
    const { namespace } = operator;
    const v1 = temporal.api.enums.v1;
    for (const [call, wanted] of [
      [
        () => workflowService.terminateWorkflowExecution({ namespace, workflowExecution: id }),
        /may not call Term/,
      ],
      [
        () => workflowService.signalWorkflowExecution({ namespace, workflowExecution: id }),
        /may not call Signal/,
      ],
      [
        () => workflowService.signalWithStartWorkflowExecution({ namespace, ...id }),
        /may not call SignalWithStart/,
      ],
      [() => workflowService.executeMultiOperation({ namespace }), /may not call ExecuteMultiOperation/],
      [() => workflowService.createSchedule({ namespace, scheduleId: 'x' }), /may not call CreateSchedule/],
      [() => workflowService.pollWorkflowTaskQueue({ namespace }), /may not call PollWorkflowTaskQueue/],
      [() => workflowService.respondActivityTaskCompleted({ namespace }), /may not call RespondActivity/],
      [() => workflowService.resetWorkflowExecution({ namespace }), /may not call ResetWorkflow/],
      [
        () => workflowService.describeWorkflowExecution({ namespace: 'other', execution: id }),
        /namespace other/,
      ],
      [
        () =>
          workflowService.startWorkflowExecution({
            ...{ namespace, ...id, workflowType: { name: 'failover' }, taskQueue: { name: 'control' } },
            workflowIdConflictPolicy:
              v1.WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
          }),
        /must not end what runs already/,
      ],
      // An id that would keep the failover from being started.
      [
        () =>
          workflowService.startWorkflowExecution({
            ...{ namespace, workflowId: 'lifeboat:wiki:failover', workflowType: { name: 'check' } },
            taskQueue: { name: 'control' },
          }),
        /may not start check lifeboat:wiki:failover/,
      ],
      [
        () => operator.temporal.connection.operatorService.listSearchAttributes({ namespace }),
        /not for those/,
      ],
    ] as [() => Promise<unknown>, RegExp][])
      await expect(call()).rejects.toMatchObject({
        code: 7,
        details: expect.stringMatching(wanted) as string,
      });
  }, 60_000);

  it('an approver schedules what Lifeboat does by schedule, under their own name, and nothing else', async () => {
    const approver = await as(APPROVER);
    const { workflowService } = approver.temporal;
    const { namespace } = approver;
    const scheduled = (type: string, workflowId: string) => ({
      action: {
        startWorkflow: { workflowId, workflowType: { name: type }, taskQueue: { name: CONTROL_QUEUE } },
      },
    });
    for (const [type, id] of [
      ['failover', 'lifeboat:wiki:failover'],
      ['replication', 'lifeboat:wiki:failover'],
      ['scheduledTest', 'lifeboat:wiki:scheduledTest'],
    ] as const)
      await expect(
        workflowService.createSchedule({ namespace, scheduleId: 'no', schedule: scheduled(type, id) }),
      ).rejects.toMatchObject({ code: 7, details: `the role approver may not schedule ${type} ${id}` });
    await approver.schedules.set('wiki', 3600);
    await approver.testSchedules.set('wiki', 86_400);
    expect((await approver.schedules.describe('wiki'))?.frequencySeconds).toBe(3600);
    await approver.schedules.delete('wiki');
    await approver.testSchedules.delete('wiki');
    for (const method of ['CreateSchedule', 'DeleteSchedule'])
      await untilLogged({ who: APPROVER, method, about: 'lifeboat:wiki:scheduled-test', allowed: true });
  }, 60_000);

  it('a certificate of another authority is none', async () => {
    /** What comes of a connection: the server speaks first, or ends it. */
    const spoken = ({ cert, key }: CertificateFiles): Promise<string> =>
      new Promise((resolve) => {
        const port = Number(address.split(':')[1]);
        const [authority, crt, pem] = [ca, cert, key].map((file) => readFileSync(file));
        const socket = tls.connect({
          host: '127.0.0.1',
          port,
          ca: authority,
          cert: crt,
          key: pem,
          ALPNProtocols: ['h2'],
        });
        const told = (text: string): void => {
          resolve(text);
          socket.destroy();
        };
        socket
          .on('data', () => told('let in'))
          .on('error', ({ message }) => told(message))
          .on('close', () => told('closed'));
      });
    expect(await spoken(certificates.issue('somebody', { by: 'people' }))).toBe('let in');
    expect(await spoken(certificates.issue(APPROVER, { by: 'others' }))).toMatch(/^closed$|alert|reset/i);
  }, 60_000);
});

const DNS: NonNullable<DrPlan['dns']> = {
  hostedZone: 'Z0000000000000',
  records: [{ name: 'db.shop.example', vm: 'db', address: 'private', ttl: 60 }],
};
