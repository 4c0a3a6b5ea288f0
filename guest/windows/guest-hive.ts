import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { BASE_BLOCK_BYTES, HiveError, MAX_HIVE_BYTES } from './hive/base-block';
import { HiveReader } from './hive/reader';
import { recoverHive } from './hive/replay';
import { findPath } from './paths';

/** Where Windows keeps its hives. */
const CONFIG = '/Windows/System32/config';

/** A hive of the guest, as it was on the disk and as it is with its logs applied. */
export interface GuestHive {
  /** The file as it was. */
  stored: Buffer;
  /** With all that its logs held. */
  hive: Buffer;
  reader: HiveReader;
  /** Whether its logs have entries that Windows could not reach either. */
  leftOut: boolean;
}

/** @throws GuestNotAdaptableError where the hive is missing, damaged, or cannot be completed from its logs */
export async function readGuestHive(files: GuestFiles, name: 'SYSTEM' | 'SOFTWARE'): Promise<GuestHive> {
  const path = await findPath(files, `${CONFIG}/${name}`);
  if (path === undefined)
    throw new GuestNotAdaptableError(`The guest has no registry hive ${name} in ${CONFIG}.`);
  const stored = await files.read(path, BASE_BLOCK_BYTES + MAX_HIVE_BYTES);
  const logs: Buffer[] = [];
  for (const extension of ['.LOG1', '.LOG2']) {
    const log = await findPath(files, `${CONFIG}/${name}${extension}`);
    if (log !== undefined) logs.push(await files.read(log, MAX_HIVE_BYTES));
  }
  return understood(name, () => {
    const { hive, leftOut } = recoverHive(stored, logs);
    return { stored, hive, reader: new HiveReader(hive), leftOut };
  });
}

/** Runs work on a hive; what is wrong with the hive is the guest's fault. */
export function understood<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw inWords(name, error);
  }
}

/** An error of a hive as one of the guest, with what helps; any other as it is. */
export function inWords(name: string, error: unknown): unknown {
  if (!(error instanceof HiveError)) return error;
  return new GuestNotAdaptableError(
    `The guest's registry hive ${name} cannot be used: ${error.message}. ` +
      'Start the guest at the primary site, shut it down ("shutdown /s /t 0"), and back it up again; ' +
      'if that does not help, repair Windows there first ("sfc /scannow").',
  );
}
