import { join } from 'node:path';
import { BUCKET } from '../endpoints';
import { resticVersion } from '../machine';
import { measured, type Usage } from '../measure';
import { awsEnvironment } from '../workspace';
import { find, MissingPeerError } from './coldsnap';

/** restic: chunks by content, deduplicated, compressed by zstd, encrypted, in packs on S3. */
export interface Restic {
  version: string;
  /** Makes a repository under that prefix of the bucket. */
  init(endpoint: string, directory: string, prefix: string): Promise<void>;
  backup(endpoint: string, directory: string, prefix: string, disk: string): Promise<Usage>;
}

/** @throws MissingPeerError */
export async function findRestic(): Promise<Restic> {
  const binary = await find('restic', process.env.RESTIC_BIN);
  if (binary === undefined)
    throw new MissingPeerError(
      'There is no restic to compare with: apt-get install restic, or set RESTIC_BIN.',
    );
  const run = (endpoint: string, directory: string, prefix: string, args: string[]) =>
    measured({
      command: binary,
      args: ['--repo', `s3:${endpoint}/${BUCKET}/${prefix}`, '--quiet', ...args],
      env: {
        ...awsEnvironment(),
        AWS_DEFAULT_REGION: awsEnvironment().AWS_REGION ?? '',
        RESTIC_PASSWORD: 'bench',
        RESTIC_CACHE_DIR: join(directory, 'restic-cache'),
      },
      directory,
    });
  return {
    version: await resticVersion(binary),
    async init(endpoint, directory, prefix) {
      await run(endpoint, directory, prefix, ['init']);
    },
    backup: async (endpoint, directory, prefix, disk) =>
      (await run(endpoint, directory, prefix, ['backup', disk])).usage,
  };
}
