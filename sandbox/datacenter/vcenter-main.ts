import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomically } from '../../host/atomic-file';
import { exists } from '../../host/if-exists';
import { readSandboxConfig } from '../config';
import { startSimulatedVcenter } from '../vcenter/simulator';
import { lostMarker, simulatorOptions, vcenterPidFile } from './vcenter-places';

const LOOK_MILLISECONDS = 200;
/** As the supervisor's own. */
const RESTART_MILLISECONDS = 1000;

/**
 * The sandbox's host, and vCenter on it, which is started again when it ends: they are two machines, and one may die without the
 * other. node vcenter-main.js <directory of the sandbox>
 */
async function main(directory: string | undefined): Promise<void> {
  const config = directory === undefined ? undefined : await readSandboxConfig(directory);
  if (!config) throw new Error('Usage: vcenter-main <directory of a sandbox>');
  let ending = false;
  let end = (): Promise<void> => Promise.resolve();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      ending = true;
      void end().then(() => process.exit(0));
    });
  // After the disaster there is no vCenter until somebody opens a new data centre.
  while (await exists(lostMarker(config))) await sleep(LOOK_MILLISECONDS);
  const vcenter = await startSimulatedVcenter(simulatorOptions(config));
  end = () => vcenter.stop();
  console.log(`vCenter answers at ${vcenter.url}`);
  for (;;) {
    await writeFileAtomically(vcenterPidFile(config), String(vcenter.pid()));
    while (!ending && vcenter.pid() !== undefined) await sleep(LOOK_MILLISECONDS);
    if (ending) return; // the signal's handler ends it
    console.log('vCenter has ended; starting it again');
    await sleep(RESTART_MILLISECONDS);
    await vcenter.start();
  }
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
