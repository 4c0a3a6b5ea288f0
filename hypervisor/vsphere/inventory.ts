import { VmNotFoundError } from '../port';
import { findProxy } from './proxy/proxy';
import { parseReference, shownName } from './names';
import { type VsphereSettings } from './settings';
import { type VimClient } from './vim/client';
import { isFault } from './vim/faults';
import { type ManagedObject } from './vim/schema';
import { type VmRef } from './vm';

/** Levels of folders above an object, more than any inventory has: a circle would be walked for ever. */
const MAX_DEPTH = 100;

/** Finds things in vCenter's inventory by what people call them. Nothing but the proxy is remembered: VMs move and are renamed. */
export class Inventory {
  #proxy: Promise<VmRef> | undefined;

  constructor(
    readonly client: VimClient,
    readonly settings: VsphereSettings,
  ) {}

  /**
   * @throws VmNotFoundError
   * @throws Error for what can be no reference, or for a name that several VMs have
   */
  async vm(reference: string): Promise<VmRef> {
    const found = await this.vmIfThere(reference);
    if (found === undefined) throw new VmNotFoundError(reference);
    return found;
  }

  /** @throws Error as {@link vm} does, but for a VM that is not there */
  async vmIfThere(reference: string): Promise<VmRef | undefined> {
    const parsed = parseReference(reference);
    const { searchIndex } = await this.client.content();
    if (searchIndex === undefined) throw new Error('This vCenter offers no SearchIndex.');
    if ('path' in parsed)
      return asVm(
        await this.client.call('FindByInventoryPath', searchIndex, { inventoryPath: parsed.path.join('/') }),
      );
    if ('instanceUuid' in parsed)
      return asVm(
        await this.client.call('FindByUuid', searchIndex, {
          uuid: parsed.instanceUuid,
          vmSearch: true,
          instanceUuid: true,
        }),
      );
    const [first, ...others] = (await this.vms()).filter(({ name }) => name === parsed.name);
    if (first === undefined) return undefined;
    if (others.length === 0) return first.ref;
    const paths = await Promise.all([first, ...others].map(({ ref }) => this.pathOf(ref)));
    throw new Error(
      `The name "${reference}" is not of one VM: ${paths.sort().join(', ')}. Name the one that is meant by its path.`,
    );
  }

  /** All VMs of the datacenter with their names. */
  async vms(): Promise<{ ref: VmRef; name: string }[]> {
    const listed = await this.client.list('VirtualMachine', ['name'], await this.datacenter());
    // One that is being removed has no name any more.
    return listed.flatMap(({ ref, name }) => (name === undefined ? [] : [{ ref, name }]));
  }

  /** What each VM of the datacenter can be referred to by: its name, or its path where others have that, too. Sorted. */
  async references(): Promise<string[]> {
    const vms = await this.vms();
    const uses = new Map<string, number>();
    for (const { name } of vms) uses.set(name, (uses.get(name) ?? 0) + 1);
    const references = vms.map(({ ref, name }) =>
      uses.get(name) === 1 ? Promise.resolve(name) : this.pathOf(ref),
    );
    return (await Promise.all(references)).sort();
  }

  /** Inventory path of an object, beginning with a slash. */
  async pathOf(object: ManagedObject): Promise<string> {
    const { rootFolder } = await this.client.content();
    const names: string[] = [];
    let at: ManagedObject = object;
    for (let depth = 0; at.value !== rootFolder.value && depth < MAX_DEPTH; depth++) {
      const { name, parent } = await this.client.get(at, 'name', 'parent');
      names.unshift(String(name));
      // What the account may not see ends the path.
      if (parent === undefined) break;
      at = parent as ManagedObject;
    }
    return `/${names.join('/')}`;
  }

  /** What people call the VM, for messages. @returns the reference itself where that is gone or cannot be read */
  async shown(vm: VmRef): Promise<string> {
    try {
      const { name } = await this.client.get(vm, 'name');
      return shownName(name ?? vm.value);
    } catch (error) {
      if (isFault(error, 'ManagedObjectNotFound')) return vm.value;
      throw error;
    }
  }

  /** @throws Error where the settings name none that there is, or leave it open which */
  async datacenter(): Promise<ManagedObject<'Datacenter'>> {
    const { datacenter } = this.settings;
    if (datacenter?.includes('/') === true) {
      const { searchIndex } = await this.client.content();
      const found =
        searchIndex &&
        (await this.client.call('FindByInventoryPath', searchIndex, {
          inventoryPath: datacenter.replace(/^\/+/, ''),
        }));
      if (found?.$ref === 'Datacenter') return found as ManagedObject<'Datacenter'>;
      throw new Error(`vCenter has no datacenter at "${datacenter}", or the account may not see it.`);
    }
    const all = await this.client.list('Datacenter', ['name']);
    const fitting = all.filter(({ name }) => datacenter === undefined || name === datacenter);
    const [only] = fitting;
    if (only !== undefined && fitting.length === 1) return only.ref;
    const names = all.map(({ name }) => `"${name}"`).join(', ') || 'none that this account may see';
    throw new Error(
      fitting.length > 1
        ? `vCenter has several datacenters (${names}): set datacenter to the name or the path of the one that is meant.`
        : `vCenter has no datacenter "${datacenter ?? ''}"; it has ${names}.`,
    );
  }

  /** The VM that this host is. @throws ProxyNotFoundError */
  proxy(): Promise<VmRef> {
    this.#proxy ??= findProxy(this.client, this.settings).catch((error: unknown) => {
      this.#proxy = undefined;
      throw error;
    });
    return this.#proxy;
  }
}

/** A path or a UUID may be of something else. */
function asVm(found: ManagedObject | undefined): VmRef | undefined {
  return found?.$ref === 'VirtualMachine' ? (found as VmRef) : undefined;
}
