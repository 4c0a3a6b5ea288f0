import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { runCli } from '../../cli/program';
import { projectRoot } from '../../host/project-root';
import { type DrPlan } from '../../plan/schema';
import { PRODUCTION_SUBNET_ID } from '../../sandbox/aws/fixtures';
import { workerEnvironment } from '../../sandbox/supervisor/processes';
import { ExpectedDisks } from '../chaos/disks';
import { removeSystemDisks } from '../chaos/guests';
import { SeededRandom } from '../chaos/random';
import { Certificates } from '../support/certificates';
import { KeyFile, newKey } from '../support/codec-keys';
import { type ControlProcess, startControl } from '../support/control-versions';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';
import { hasHaproxy, startTlsFront, type TlsFront } from '../support/tls-front';
import { testIo } from '../unit/cli-io';

const { GetWorkflowExecutionHistoryResponse, DescribeWorkflowExecutionResponse } =
  temporal.api.workflowservice.v1;

/** Of the test's own, beside the sandbox's, whose workers have neither keys nor certificates. */
const NAMESPACE = 'secured';
const API_KEY = 'key-of-the-test';
const STEP_MS = 240_000;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 && hasHaproxy() ? describe : describe.skip;

asRoot('a plan replicated over a secured wire (needs root)', () => {
  let sandbox: E2eSandbox;
  let certificates: Certificates;
  let keys: KeyFile;
  let front: TlsFront;
  let disks: ExpectedDisks;
  let env: NodeJS.ProcessEnv;
  const workers: ControlProcess[] = [];
  const plan: DrPlan = plainPlan('shop', ['ledgerbase']);
  const before = { ...process.env };

  beforeAll(async () => {
    sandbox = await openE2eSandbox('wire', { runner: 'no-boot', application: 'none' });
    const { config, client } = sandbox;
    disks = new ExpectedDisks(join(config.directory, 'expected'), {
      plan: 'shop',
      vms: [{ name: 'ledgerbase', guest: 'debian', dataSectors: 0, dependsOn: [] }],
      steps: [],
    });
    await disks.make(sandbox.site, new SeededRandom(23));
    await client.temporal.workflowService.registerNamespace({
      namespace: NAMESPACE,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    keys = new KeyFile().write('k1', { k1: newKey() });
    certificates = new Certificates();
    const worker = certificates.issue('worker', { by: 'our-ca' });
    front = await startTlsFront(
      `127.0.0.1:${config.ports.temporal}`,
      {
        all: {
          certificate: certificates.issue('server', { by: 'our-ca', names: 'IP:127.0.0.1' }).both,
          clients: certificates.authority('our-ca'),
          apiKey: API_KEY,
        },
      },
      certificates.directory,
    );
    env = {
      ...before,
      ...workerEnvironment(config),
      ...keys.env,
      LIFEBOAT_STATE_DIRECTORY: join(config.directory, 'secured'),
      TEMPORAL_ADDRESS: front.addresses.all,
      TEMPORAL_NAMESPACE: NAMESPACE,
      TEMPORAL_API_KEY: API_KEY,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.authority('our-ca'),
      TEMPORAL_TLS_CLIENT_CERT_PATH: worker.cert,
      TEMPORAL_TLS_CLIENT_KEY_PATH: worker.key,
    };
    for (const role of ['control', 'aws-proxy', 'backup-proxy'])
      workers.push(startControl(join(projectRoot(), 'dist'), env, role));
    await Promise.all(workers.map((one) => one.says(/RUNNING/)));
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    process.env = { ...before };
    for (const worker of workers) await worker.kill();
    await front?.end();
    removeSystemDisks();
    await sandbox?.close();
    certificates?.remove();
    keys?.remove();
  }, SANDBOX_SECONDS * 1000);

  async function lifeboat(...argv: string[]): Promise<string> {
    process.env = { ...env };
    const world = testIo(process.env, '/');
    const exitCode = await runCli(argv, world.io);
    expect([exitCode, world.err]).toEqual([0, expect.not.stringMatching(/^lifeboat: /m)]);
    return world.out;
  }

  /** What the server has of every run of the namespace, as it keeps it. */
  async function keptByServer(): Promise<{ runs: string[]; text: string }> {
    const { workflowService } = await Connection.connect({
      address: `127.0.0.1:${sandbox.config.ports.temporal}`,
    });
    const namespace = NAMESPACE;
    const { executions } = await workflowService.listWorkflowExecutions({ namespace });
    const parts: Uint8Array[] = [];
    for (const { execution } of executions) {
      const asked = { namespace, execution: execution ?? {} };
      parts.push(
        GetWorkflowExecutionHistoryResponse.encode(
          await workflowService.getWorkflowExecutionHistory(asked),
        ).finish(),
        DescribeWorkflowExecutionResponse.encode(
          await workflowService.describeWorkflowExecution(asked),
        ).finish(),
      );
    }
    const text = parts.map((part) => Buffer.from(part).toString('latin1')).join('\n');
    return { runs: executions.map(({ execution }) => execution?.workflowId ?? ''), text };
  }

  it(
    'is whole at the recovery site, told of by the command, and nothing of it is in the server',
    async () => {
      await sandbox.publish(plan);
      await lifeboat('backup', 'shop');
      await lifeboat('restore', 'shop');
      await lifeboat('verify', 'shop');
      expect(await lifeboat('status', 'shop')).toMatch(/ledgerbase/);

      const { runs, text } = await eventually(30, async () => {
        const found = await keptByServer();
        return found.runs.length >= 3 ? found : undefined;
      });
      expect(runs).toEqual(
        expect.arrayContaining(['lifeboat:shop:backup', 'lifeboat:shop:restore', 'lifeboat:shop:verify']),
      );
      expect(text).toContain('binary/encrypted');
      // Ids of workflows are told to stay readable.
      const rest = text.replaceAll(/lifeboat:shop:[a-z-]+(:ledgerbase)?/g, '');
      const secrets = [
        'ledgerbase',
        'lifeboat-shop',
        '192.168.10.100',
        'm6i.large',
        'snap-',
        PRODUCTION_SUBNET_ID,
      ];
      expect(secrets.filter((secret) => rest.includes(String(secret)))).toEqual([]);
    },
    STEP_MS,
  );
});
