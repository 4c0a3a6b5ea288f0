import { access, constants } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { REGION } from '../endpoints';
import { coldsnapVersion } from '../machine';
import { measured, type Usage } from '../measure';
import { awsEnvironment } from '../workspace';

/** A peer that is not there: the comparison cannot be made. */
export class MissingPeerError extends Error {}

/** awslabs/coldsnap, the Rust client of the EBS direct APIs. */
export interface Coldsnap {
  version: string;
  upload(endpoint: string, directory: string, disk: string): Promise<{ usage: Usage; snapshotId: string }>;
  download(endpoint: string, directory: string, snapshotId: string, disk: string): Promise<Usage>;
}

/**
 * COLDSNAP_BIN, the one that the set-up built, or the one on PATH.
 * @throws MissingPeerError
 */
export async function findColdsnap(): Promise<Coldsnap> {
  const own = join(projectRoot(), '.lifeboat', 'tools', 'bin', 'coldsnap');
  const binary = await find('coldsnap', process.env.COLDSNAP_BIN, own);
  if (binary === undefined)
    throw new MissingPeerError(
      'There is no coldsnap to compare with. Set COLDSNAP_BIN, or put it on PATH (cargo install coldsnap --locked), or ' +
        'run the benchmark with --build-coldsnap, which takes some minutes.',
    );
  const run = (endpoint: string, directory: string, args: string[]) =>
    measured({
      command: binary,
      args: ['--region', REGION, '--endpoint', endpoint, ...args],
      env: awsEnvironment(),
      directory,
    });
  return {
    version: await coldsnapVersion(binary),
    async upload(endpoint, directory, disk) {
      // Zeros are left out by both sides.
      const args = ['upload', '--no-progress', '--omit-zero-blocks', disk];
      const { usage, stdout } = await run(endpoint, directory, args);
      const snapshotId = /snap-[0-9a-f]+/.exec(stdout)?.[0];
      if (snapshotId === undefined) throw new Error(`coldsnap names no snapshot: ${stdout}`);
      return { usage, snapshotId };
    },
    async download(endpoint, directory, snapshotId, disk) {
      const args = ['download', '--no-progress', '--force', snapshotId, disk];
      return (await run(endpoint, directory, args)).usage;
    },
  };
}

/** The first program of those paths, or of that name on PATH, that may be run. */
export async function find(name: string, ...paths: (string | undefined)[]): Promise<string | undefined> {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, name));
  for (const path of [...paths, ...onPath]) {
    if (path === undefined || path === '') continue;
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return resolve(path);
  }
  return undefined;
}
