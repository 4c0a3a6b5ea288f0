import { type EC2Client } from '@aws-sdk/client-ec2';
import { findDrCopies } from '../activities/aws-proxy/account/dr-copy';
import { HOURS_A_MONTH, instanceMonth, volumeMonth } from '../activities/aws-proxy/account/prices';
import { volumesByDisk } from '../plan/recovery-site/volume-settings';
import { DEFAULT_VOLUME_TYPE } from '../plan/recovery-site/volume-types';
import { type DrPlan } from '../plan/schema';

/** What a test will cost, in US dollars, by on-demand list prices of us-east-1, without licences, traffic, and IOPS and throughput beyond what is included. */
export interface TestCost {
  /** For which the instances run. */
  hours: number;
  instances: number;
  /** GiB of volumes. */
  volumeGib: number;
  /** What is known of it. */
  dollars: number;
  /** Instance types and other things of which no price is known. */
  unknown: string[];
}

/** Hours for which a test runs besides the time that it is kept: its VMs boot, are asked until they answer, and are removed. */
export const BRINGING_UP_HOURS = 0.5;

/** An estimate, before anything is made; sizes of volumes are of the DR copies. */
export async function testCost(ec2: EC2Client, plan: DrPlan, keepSeconds = 0): Promise<TestCost> {
  const hours = BRINGING_UP_HOURS + keepSeconds / 3600;
  const copies = await findDrCopies(ec2, plan.name);
  const unknown = new Set<string>();
  let month = 0;
  let volumeGib = 0;
  const add = (cost: number | undefined, what: string): void => {
    if (cost === undefined) unknown.add(what);
    else month += cost;
  };
  for (const vm of plan.vms) {
    const [type] = vm.instanceTypes;
    add(instanceMonth(type), String(type));
    if (vm.licensedImage !== undefined) unknown.add(`the licence of ${vm.name}`);
    const copy = copies.get(vm.name);
    if (copy === undefined) {
      unknown.add(`the volumes of ${vm.name}`);
      continue;
    }
    const settings = volumesByDisk(
      plan,
      vm,
      true,
      copy.disks.map(({ key }) => key),
    );
    for (const { key, volumeGiB } of copy.disks) {
      const volumeType = settings[key]?.volumeType ?? DEFAULT_VOLUME_TYPE;
      add(volumeMonth(volumeType, volumeGiB), volumeType);
      volumeGib += volumeGiB;
    }
  }
  return {
    ...{ hours, instances: plan.vms.length, volumeGib },
    dollars: Math.round((month / HOURS_A_MONTH) * hours * 100) / 100,
    unknown: [...unknown].sort(),
  };
}
