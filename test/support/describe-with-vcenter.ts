import { simulatorIsBuilt } from '../../sandbox/vcenter/simulator';

/** Tests that need a vCenter: skipped, and counted so, where Go could not be had to build the simulated one. */
export const describeWithVcenter = describeWithVcenterAnd(true);

/** Tests that need something else as well, and are skipped where that is not there, either. */
export function describeWithVcenterAnd(met: boolean): jest.Describe {
  return met && simulatorIsBuilt() ? describe : describe.skip;
}
