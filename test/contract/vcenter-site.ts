import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type VsphereSettings, vsphereHypervisor, type VsphereHypervisor } from '../../hypervisor/vsphere';
import { vsphereSite } from '../../hypervisor/vsphere/site';
import {
  simulatorIsBuilt,
  startSimulatedVcenter,
  type SimulatedVcenter,
} from '../../sandbox/vcenter/simulator';

/** Tests that need a vCenter: skipped, and counted so, where Go could not be had to build the simulated one. */
export const describeWithVcenter = simulatorIsBuilt() ? describe : describe.skip;

/** A simulated vCenter, and this host as its backup proxy. */
export interface VcenterSite {
  vcenter: SimulatedVcenter;
  directory: string;
  settings: VsphereSettings;
  /** As a process that has just started sees it; closed at the end. */
  hypervisor(settings?: Partial<VsphereSettings>): VsphereHypervisor;
  /** To look and to change behind the adapter's back. */
  site: ReturnType<typeof vsphereSite>;
  remove(): Promise<void>;
}

export async function startVcenterSite(): Promise<VcenterSite> {
  const directory = await mkdtemp(join(tmpdir(), 'vcenter-'));
  const vcenter = await startSimulatedVcenter({ directory: join(directory, 'vcenter'), boots: false });
  const credentials = join(directory, 'credentials.yaml');
  await writeFile(credentials, `user: ${vcenter.user}\npassword: "${vcenter.password}"\n`, { mode: 0o600 });
  const settings: VsphereSettings = {
    url: vcenter.url,
    credentials,
    ca: vcenter.ca,
    devices: vcenter.deviceDirectory,
    proxy: vcenter.proxyUuid,
    networks: {},
  };
  const stateDirectory = join(directory, 'state');
  const open: { close(): Promise<void> }[] = [];
  const site = vsphereSite(settings, stateDirectory);
  open.push(site.client);
  return {
    vcenter,
    directory,
    settings,
    site,
    hypervisor(changed = {}) {
      const hypervisor = vsphereHypervisor({ settings: { ...settings, ...changed }, stateDirectory });
      open.push(hypervisor);
      return hypervisor;
    },
    async remove() {
      await Promise.allSettled(open.map((one) => one.close()));
      await vcenter.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
