import { setTimeout as sleep } from 'node:timers/promises';
import { exists } from '../../host/if-exists';
import { readSandboxConfig } from '../config';
import { startSimulatedVcenter } from '../vcenter/simulator';
import { lostMarker, simulatorOptions } from './vcenter-places';

const LOOK_MILLISECONDS = 200;

/** The sandbox's vCenter, with its host: node vcenter-main.js <directory of the sandbox> */
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
  if (ending) await end();
  else console.log(`vCenter answers at ${vcenter.url}`);
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
