import { GuestNotAdaptableError } from '../port';
import { type GuestFiles } from './port';

/** What is believed of a directory of ours: a guest may have put anything into it. */
export interface TreeBounds {
  entries: number;
  depth: number;
}

/**
 * Removes a directory with all that is in it; symbolic links are removed, not followed.
 * @throws GuestNotAdaptableError where it holds more than the bounds
 */
export async function removeTree(files: GuestFiles, path: string, bounds: TreeBounds): Promise<void> {
  let entries = 0;
  const remove = async (at: string, depth: number): Promise<void> => {
    if (++entries > bounds.entries || depth > bounds.depth) {
      throw new GuestNotAdaptableError(
        `${path} in the guest holds far more than Lifeboat put there. Remove it by hand.`,
      );
    }
    if ((await files.stat(at))?.type === 'directory') {
      for (const name of await files.list(at)) await remove(`${at}/${name}`, depth + 1);
    }
    await files.remove(at);
  };
  await remove(path, 0);
}
