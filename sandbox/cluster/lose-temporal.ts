import { type SandboxConfig } from '../config';
import { sendSignal } from '../../host/pid-file';
import { TEMPORAL_NAMESPACE } from '../supervisor/processes';
import { waitUntilServing } from '../supervisor/readiness';
import { supervisorReport } from '../supervisor/report';
import { temporalMembers } from './members';
import { ensureData, loseData } from './postgresql';
import { ensureNamespace, ensureSchemasOnceUp } from './prepare';
import { workersOf } from './workers';

/**
 * Loses all that Temporal has: the database with its files, and every process that may remember something of it. What comes instead
 * is empty, as after a set-up. The sites are left alone.
 */
export async function loseTemporal(config: SandboxConfig): Promise<void> {
  const orchestrator = ['postgresql', ...temporalMembers(config), ...workersOf(config)].map((one) =>
    typeof one === 'string' ? one : one.name,
  );
  await loseData(config, async () => {
    for (const { name, pid } of await supervisorReport(config))
      if (pid !== undefined && orchestrator.includes(name)) sendSignal(pid, 'SIGKILL');
  });
  // The supervisor tries to start all of it meanwhile, which works once there is something to start with.
  await ensureData(config);
  await ensureSchemasOnceUp(config);
  await ensureNamespace(config, TEMPORAL_NAMESPACE);
  await waitUntilServing(config);
}
