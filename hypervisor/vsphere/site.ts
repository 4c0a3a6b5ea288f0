import { join } from 'node:path';
import { HotAdd } from './proxy/hot-add';
import { Inventory } from './inventory';
import { credentialsOf, trustOf, type VsphereSettings } from './settings';
import { SnapshotUses } from './backup/snapshot-uses';
import { VimClient } from './vim/client';

/** What all parts of the adapter work with. */
export interface Site {
  settings: VsphereSettings;
  client: VimClient;
  inventory: Inventory;
  hotAdd: HotAdd;
  uses: SnapshotUses;
  /** Of this host, for what has to be known after this process has died; never of what only vCenter can know. */
  stateDirectory: string;
}

/** Nothing is asked of vCenter yet. @throws VsphereSettingsError where there are no credentials */
export function vsphereSite(settings: VsphereSettings, stateDirectory: string): Site {
  const client = new VimClient({
    url: settings.url,
    credentials: credentialsOf(settings),
    trust: trustOf(settings),
  });
  const inventory = new Inventory(client, settings);
  const directory = join(stateDirectory, 'vsphere');
  return {
    settings,
    client,
    inventory,
    hotAdd: new HotAdd(inventory, directory),
    uses: new SnapshotUses(join(directory, 'snapshots')),
    stateDirectory: directory,
  };
}
