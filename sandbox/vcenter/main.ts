import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../host/atomic-file';
import { startSimulatedVcenter, type SimulatorOptions } from './simulator';

/** In the directory: {@link SimulatorOptions} but for the directory itself, as JSON. */
export const OPTIONS_FILE = 'options.json';
/** In the directory, once vCenter answers: how to reach it, and the account, as JSON. */
export const CONNECTION_FILE = 'connection.json';

/** Keeps a simulated vCenter running, until SIGTERM: node main.js <directory>. Killed, it leaves its machines to the next one. */
async function main(directory: string | undefined): Promise<void> {
  if (directory === undefined) throw new Error('Usage: main <directory of a simulated data centre>');
  const options = JSON.parse(await readFile(join(directory, OPTIONS_FILE), 'utf8')) as Omit<
    SimulatorOptions,
    'directory'
  >;
  const vcenter = await startSimulatedVcenter({ ...options, directory });
  const { url, thumbprint, ca, user, password, deviceDirectory, datastoreDirectory, proxyUuid } = vcenter;
  const connection = { url, thumbprint, ca, user, password, deviceDirectory, datastoreDirectory, proxyUuid };
  await writeFileAtomically(join(directory, CONNECTION_FILE), JSON.stringify(connection));
  console.log(`vCenter answers at ${url}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void vcenter.stop().then(() => process.exit(0)));
}

if (require.main === module)
  main(process.argv[2]).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
