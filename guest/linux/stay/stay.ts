import { type GuestFiles } from '../../files/port';
import { type HostEntry } from '../../port';
import { type ChangePlan } from '../changes/change-plan';
import { planQuietCloudInit } from './cloud-init';
import { planNoGrowing } from './growing';
import { planHosts } from './hosts';
import { planNetwork } from '../network';
import { Units } from '../units';

/** What lets a guest live at the recovery site and come home as it was: network, names, and tools of its own kept quiet. */
export async function planStay(files: GuestFiles, plan: ChangePlan, hosts: HostEntry[]): Promise<void> {
  const units = await Units.read(files);
  const { addresses } = await planNetwork(files, plan, units);
  await planHosts(files, plan, hosts, addresses);
  await planQuietCloudInit(files, plan, units);
  await planNoGrowing(files, plan, units);
}
