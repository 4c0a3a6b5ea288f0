import { runningPid } from '../../host/pid-file';
import { ensureInNamespace } from './namespace-process';

/** Where EC2's instances find their metadata. */
export const METADATA_ADDRESS = '169.254.169.254';
const PORT = '80';

/** Starts the metadata proxy of a namespace unless it runs. It outlives this process. */
export async function ensureMetadataProxy(namespace: string, socketPath: string): Promise<void> {
  const pidFile = `${socketPath}.pid`;
  await ensureInNamespace({
    namespace,
    name: 'metadata-proxy',
    args: [METADATA_ADDRESS, PORT, socketPath, pidFile],
    log: `${socketPath}.log`,
    serves: async () => (await runningPid(pidFile, socketPath)) !== undefined,
  });
}
