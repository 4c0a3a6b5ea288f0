import { type Inventory } from '../inventory';
import { type VimClient } from '../vim/client';
import { type VmRef } from '../vm';

/** The port's bound. */
const LAST_BYTES = 64 * 1024;

/**
 * What the guest wrote last to a serial port whose output goes into a file. Empty where it has none, and where the file cannot
 * be read: it is for people who look for the cause of something else.
 */
export async function consoleText(client: VimClient, inventory: Inventory, vm: VmRef): Promise<string> {
  const { config } = await client.get(vm, 'config');
  for (const { $type, backing } of config?.hardware.device ?? []) {
    if ($type !== 'VirtualSerialPort' || backing?.$type !== 'VirtualSerialPortFileBackingInfo') continue;
    const [, datastore, path] = /^\[(.+?)\] (.+)$/.exec(backing.fileName) ?? [];
    if (datastore === undefined || path === undefined) continue;
    const datacenter = await inventory.pathOf(await inventory.datacenter());
    const query = new URLSearchParams({ dcPath: datacenter.slice(1), dsName: datastore });
    const file = path.split('/').map(encodeURIComponent).join('/');
    const end = await client.fileEnd(`/folder/${file}?${query.toString()}`, LAST_BYTES);
    if (end !== undefined) return end.toString('utf8');
  }
  return '';
}
