import { type Inventory } from '../inventory';
import { escapeName, parseReference, shownName } from '../names';
import { type Listed } from '../vim/properties';
import { type DatastoreSummary, type ManagedObject } from '../vim/schema';

/** Where a new VM comes to, and what it is called there. */
export interface NewVmPlace {
  folder: ManagedObject<'Folder'>;
  pool: ManagedObject<'ResourcePool'>;
  /** Name of the datastore. */
  datastore: string;
  /** As people see it. */
  name: string;
  /** Where the plan calls the VM by one. */
  instanceUuid?: string;
}

/**
 * Where a VM is made that the plan calls so: at its path where it is one, else in the folder of the settings.
 * @param displayName its name where the reference is an instance UUID
 * @throws Error where the settings name what is not there, or leave it open
 */
export async function newVmPlace(
  inventory: Inventory,
  reference: string,
  displayName?: string,
): Promise<NewVmPlace> {
  const parsed = parseReference(reference);
  const [pool, datastore] = await Promise.all([poolOf(inventory), datastoreOf(inventory)]);
  const shared = { pool: pool.ref, datastore: datastore.name };
  if ('path' in parsed)
    return {
      ...shared,
      folder: await folderAt(inventory, parsed.path.slice(0, -1)),
      name: shownName(parsed.path.at(-1) ?? ''),
    };
  const folder = await folderOf(inventory);
  if ('name' in parsed) return { ...shared, folder, name: shownName(parsed.name) };
  const { instanceUuid } = parsed;
  return { ...shared, folder, name: displayName ?? instanceUuid, instanceUuid };
}

/** The folder for new VMs. @throws Error where it is not there */
export async function folderOf(inventory: Inventory): Promise<ManagedObject<'Folder'>> {
  const { folder } = inventory.settings;
  if (folder?.startsWith('/') === true) return folderAt(inventory, folder.slice(1).split('/'));
  const datacenter = await inventory.datacenter();
  if (folder !== undefined) {
    const path = `${await inventory.pathOf(datacenter)}/vm/${folder}`;
    return folderAt(inventory, path.slice(1).split('/'));
  }
  const { vmFolder } = await inventory.client.get(datacenter, 'vmFolder');
  if (vmFolder === undefined) throw new Error('The account may not see the folder of VMs of the datacenter.');
  return vmFolder as ManagedObject<'Folder'>;
}

async function folderAt(inventory: Inventory, parts: readonly string[]): Promise<ManagedObject<'Folder'>> {
  const { searchIndex } = await inventory.client.content();
  const inventoryPath = parts.map((part) => escapeName(shownName(part))).join('/');
  const found =
    searchIndex && (await inventory.client.call('FindByInventoryPath', searchIndex, { inventoryPath }));
  if (found?.$ref === 'Folder') return found as ManagedObject<'Folder'>;
  throw new Error(
    `vCenter has no folder "/${parts.join('/')}", or the account may not see it. Make the folder, or change the path in the plan's ` +
      'primaryVm or in the settings.',
  );
}

type NamedPool = Listed<'ResourcePool', 'name' | 'parent'> & { path: string };

/** The resource pool of new VMs. @throws Error where the settings name none that there is, or leave it open which */
export async function poolOf(inventory: Inventory): Promise<NamedPool> {
  const { client, settings } = inventory;
  const listed = await client.list('ResourcePool', ['name', 'parent'], await inventory.datacenter());
  const pools = await Promise.all(
    listed.map(async (pool) => ({ ...pool, path: await inventory.pathOf(pool.ref) })),
  );
  const wanted = settings.pool;
  // Without a setting, those are meant that hosts and clusters have of their own.
  const fitting = pools.filter(({ name, path, parent }) =>
    wanted === undefined
      ? parent?.$ref !== 'ResourcePool'
      : path === wanted || shownName(name ?? '') === wanted,
  );
  return theOnly(fitting, {
    setting: 'pool',
    what: 'resource pool',
    wanted,
    there: pools.map(({ path }) => path),
    told: ({ path }) => path,
  });
}

export interface NewVmDatastore {
  ref: ManagedObject<'Datastore'>;
  name: string;
  summary: DatastoreSummary;
}

/** The datastore of new VMs. @throws Error as {@link poolOf} does */
export async function datastoreOf(inventory: Inventory): Promise<NewVmDatastore> {
  const { client, settings } = inventory;
  const listed = await client.list('Datastore', ['name', 'summary'], await inventory.datacenter());
  const datastores = listed.flatMap(({ ref, name, summary }) =>
    name === undefined || summary === undefined ? [] : [{ ref, name: shownName(name), summary }],
  );
  const wanted = settings.datastore;
  return theOnly(
    datastores.filter(({ name }) => wanted === undefined || name === wanted),
    {
      setting: 'datastore',
      what: 'datastore',
      wanted,
      there: datastores.map(({ name }) => name),
      told: ({ name, ref }) => `${name} (${ref.value})`,
    },
  );
}

interface Choice<T> {
  setting: string;
  what: string;
  wanted: string | undefined;
  /** Names of all that there are. */
  there: readonly string[];
  told: (one: T) => string;
}

function theOnly<T>(fitting: readonly T[], { setting, what, wanted, there, told }: Choice<T>): T {
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  const all = [...there].sort().join(', ') || 'none that the account may see';
  throw new Error(
    only === undefined
      ? `The datacenter has no ${what} "${wanted ?? ''}" for new VMs: set ${setting} to one of its own: ${all}.`
      : `The datacenter has several fitting ${what}s for new VMs (${fitting.map(told).sort().join(', ')}): set ${setting} to the one that is meant.`,
  );
}
