import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  readVsphereSettings,
  type VsphereHypervisor,
  vsphereHypervisor,
  type VsphereSettings,
  vsphereSite,
} from '../../hypervisor/vsphere';
import { type Inventory } from '../../hypervisor/vsphere/inventory';
import { type VimClient } from '../../hypervisor/vsphere/vim/client';
import { startSimulatedVcenter, type SimulatedVcenter } from '../../sandbox/vcenter/simulator';

/** A simulated vCenter, and this host as its backup proxy. */
export interface VsphereSite {
  vcenter: SimulatedVcenter;
  directory: string;
  settings: VsphereSettings;
  /** What LIFEBOAT_HYPERVISOR would be, after `vsphere:`. */
  settingsFile: string;
  stateDirectory: string;
  hypervisor: VsphereHypervisor;
  /** The same site, as a process that has just started sees it; closed at the end. */
  afresh(changed?: Partial<VsphereSettings>): VsphereHypervisor;
  /** To look and to change behind the adapter's back, in a session of the test's own. */
  client: VimClient;
  inventory: Inventory;
  remove(): Promise<void>;
}

export async function startVsphereSite(): Promise<VsphereSite> {
  const directory = await mkdtemp(join(tmpdir(), 'vsphere-'));
  const vcenter = await startSimulatedVcenter({ directory: join(directory, 'site'), boots: false });
  const { url, ca, user, password, deviceDirectory: devices, proxyUuid: proxy } = vcenter;
  const credentials = join(directory, 'credentials.yaml');
  await writeFile(credentials, stringify({ user, password }), { mode: 0o600 });
  const settingsFile = join(directory, 'vsphere.yaml');
  await writeFile(settingsFile, stringify({ url, ca, credentials, devices, proxy }));
  const settings = readVsphereSettings(settingsFile);
  const stateDirectory = join(directory, 'state');
  const opened: VsphereHypervisor[] = [];
  const afresh = (changed: Partial<VsphereSettings> = {}): VsphereHypervisor => {
    const hypervisor = vsphereHypervisor({ settings: { ...settings, ...changed }, stateDirectory });
    opened.push(hypervisor);
    return hypervisor;
  };
  const { client, inventory } = vsphereSite(settings, stateDirectory);
  return {
    vcenter,
    directory,
    settings,
    settingsFile,
    stateDirectory,
    hypervisor: afresh(),
    afresh,
    client,
    inventory,
    async remove() {
      try {
        await Promise.all([client, ...opened].map((one) => one.close()));
      } finally {
        await vcenter.stop();
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}
