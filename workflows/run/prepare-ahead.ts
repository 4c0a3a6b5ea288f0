import { condition } from '@temporalio/workflow';
import { type VmAhead } from './vm-ahead';

/**
 * VMs that are prepared ahead of their turn at a time. A VM with no launch copy takes some 45 s of it (a shell launched and stopped), and EC2
 * launches two a second, so that these keep it busy. More of them would stand in the way of the VMs whose turn it is.
 */
const PREPARED_AT_ONCE = 100;

/** VMs that are to be begun ahead, and what is known of them. */
interface Preparation<Result> {
  /** In the order in which their turns can come. */
  names: readonly string[];
  of: (name: string) => VmAhead<Result>;
  /** Whether a VM that was begun ahead has all that can be made before its turn, or waits for a person. */
  isPrepared: (name: string) => boolean;
  atOnce?: number;
}

/** Begins the VMs ahead, in order, so many at a time; those whose turn has come meanwhile are left to it. */
export async function prepareAhead<Result>({
  names,
  of,
  isPrepared,
  atOnce = PREPARED_AT_ONCE,
}: Preparation<Result>): Promise<void> {
  let underWay: string[] = [];
  const hasRoom = (): boolean => {
    underWay = underWay.filter((name) => of(name).isAhead && !isPrepared(name));
    return underWay.length < atOnce;
  };
  for (const name of names) {
    await condition(hasRoom);
    if (!of(name).untouched) continue;
    underWay.push(name);
    // How it ends is heard by whoever waits for it.
    void of(name)
      .prepare()
      .catch(() => undefined);
  }
}
