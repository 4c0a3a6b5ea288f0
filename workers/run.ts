import { Client, Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../host/message-of';
import { withTracePackages } from '../host/traces/optional';
import { bundleFor } from '../wire/bundle-code';
import { dataConverterFor } from '../wire/data-converter';
import { temporalSettings } from '../wire/temporal-settings';
import { joinDeployment, requireDeployments } from './deployment';
import { countsCopies } from './metrics/copies';
import { guardWorkerOutput } from './log';
import { type Exporter, installRuntime } from './metrics/exporter';
import { FactReporter, reportFacts } from './metrics/facts';
import { reportRequests } from './metrics/requests';
import { queueWorkers, type Role } from './roles';
import { type QueueWorker } from './roles/queue-worker';
import { gatherLittleGarbage } from './node-flags';
import { reachTemporal } from './reach-temporal';
import { registerSearchAttributes } from './search-attributes';
import { asSettings, workerSettings } from './settings';
import type * as tracesModule from './traces';
import { type WorkerTraces } from './traces';
import { tellsTrouble } from './trouble';

/** For what is being looked up for metrics when the workers have ended. */
const LAST_LOOK_SECONDS = 1;

/**
 * Runs a role's workers until the process gets SIGINT or SIGTERM; then lets them finish what they can in a few
 * seconds. What they cannot, another worker goes on with.
 * @throws SettingsError where the environment lacks something, or the server what it asks for
 * @throws WireError where a certificate or the file of keys is wrong
 */
export async function runWorker(role: Role): Promise<void> {
  const { identity, build, metricsAddress, traces: traced } = workerSettings(role);
  const workers = queueWorkers(role);
  const version = workers.find((worker) => worker.workerDeploymentOptions)?.workerDeploymentOptions?.version;
  if (role === 'control') gatherLittleGarbage();
  guardWorkerOutput();
  const exporter = installRuntime(metricsAddress, role);
  const traces = traced ? tracesOf(role) : undefined;
  const telling = exporter && { exporter, reporters: reportersOf(workers, exporter) };
  const { namespace } = temporalSettings();
  const dataConverter = dataConverterFor(namespace);
  console.log(
    `Lifeboat ${build}: ${identity}${version === undefined ? '' : `, of ${version.deploymentName}`}`,
  );

  const { connection, connectionOptions } = await reachTemporal(dataConverter, async (client) => {
    await registerSearchAttributes(client, namespace);
    if (version !== undefined) await requireDeployments(client, namespace, version.deploymentName);
  });
  try {
    const running = await Promise.all(
      workers.map(async ({ atStart: _, facts: _facts, workflowBundle, ...worker }) =>
        Worker.create({
          ...worker,
          ...(workflowBundle && { workflowBundle: await bundleFor(dataConverter, workflowBundle) }),
          connection,
          namespace,
          identity,
          sinks: traces?.sinks ?? {},
          dataConverter,
          interceptors: {
            activity: [
              ...(traces?.activity ?? []),
              tellsTrouble,
              ...(exporter === undefined ? [] : [countsCopies(exporter)]),
            ],
          },
          shutdownGraceTime: '5 seconds',
          // A copy of a dead worker resumes where its last recorded heartbeat was: a second of work, not ten.
          maxHeartbeatThrottleInterval: '1 second',
          defaultHeartbeatThrottleInterval: '1 second',
        }),
      ),
    );
    const ended = new AbortController();
    const working = Promise.all(running.map((worker) => worker.run())).finally(() => ended.abort());
    const joined =
      version &&
      joinDeployment(() => Connection.connect(connectionOptions), namespace, version, ended.signal);
    const all = Promise.all([working, joined, ...workers.map(clearLeftovers)]);
    const client = new Client({ connection, namespace, dataConverter });
    await (telling === undefined ? all : reporting(telling, client, all));
  } finally {
    await connection.close();
    await traces?.end();
  }
}

/** @throws SettingsError */
function tracesOf(role: Role): WorkerTraces {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the packages of traces need not be there
  const load = (): typeof tracesModule => require('./traces') as typeof tracesModule;
  return asSettings(() => withTracePackages(load)).workerTraces(role);
}

const reportersOf = (workers: readonly QueueWorker[], exporter: Exporter): FactReporter[] =>
  workers.flatMap(({ facts = [] }) => facts.map((one) => new FactReporter(one, exporter)));

/** Tells by metrics what there is to tell, until the workers end. */
async function reporting(
  { exporter, reporters }: { exporter: Exporter; reporters: FactReporter[] },
  client: Client,
  ended: Promise<unknown>,
): Promise<void> {
  const ending = new AbortController();
  const reports = [
    reportRequests(exporter, ending.signal),
    ...reporters.map((reporter) => reportFacts(reporter, client, ending.signal)),
  ];
  try {
    await ended;
  } finally {
    ending.abort();
    // A look that is under way is not waited for long: whatever it finds, nobody will read it.
    await Promise.race([Promise.all(reports), sleep(LAST_LOOK_SECONDS * 1000)]);
  }
}

/** A site that cannot be reached now keeps no worker from its work: each backup clears what is in its way once more. */
async function clearLeftovers({ atStart }: QueueWorker): Promise<void> {
  try {
    for (const line of (await atStart?.()) ?? []) console.log(line);
  } catch (error) {
    console.error(`What earlier workers have left could not be cleared: ${messageOf(error)}`);
  }
}
