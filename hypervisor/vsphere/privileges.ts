import { METHODS, type ManagedObject } from './vim/schema';
import { type VimClient } from './vim/client';

/** What the account acts on. A VM that is yet to be made has the rights of the folder that it will be in. */
export type Place =
  | 'protected VM'
  | 'VM that survived'
  | 'proxy VM'
  | 'folder for new VMs'
  | 'resource pool'
  | 'datastore'
  | 'network';

type MethodName = keyof typeof METHODS;

/** Methods by the object that they are called on; vCenter's definitions say which privilege each one needs. */
const METHODS_BY_PLACE: Record<Place, readonly MethodName[]> = {
  'protected VM': [
    'CreateSnapshotEx_Task',
    'RemoveSnapshot_Task',
    'ConsolidateVMDisks_Task',
    'QueryChangedDiskAreas',
  ],
  'VM that survived': [
    'CreateSnapshotEx_Task',
    'RevertToSnapshot_Task',
    'RemoveSnapshot_Task',
    'ConsolidateVMDisks_Task',
    'PowerOnVM_Task',
    'PowerOffVM_Task',
  ],
  'proxy VM': [],
  'folder for new VMs': ['CreateVM_Task', 'PowerOnVM_Task', 'PowerOffVM_Task', 'ShutdownGuest'],
  'resource pool': [],
  datastore: [],
  network: [],
};

/**
 * What the definitions leave to the arguments: ReconfigVM_Task and CreateVM_Task need a privilege by field of
 * VirtualMachineConfigSpec and by kind of device, Destroy_Task one by the kind of object (their descriptions in the vSphere
 * Web Services API).
 */
const FURTHER: Record<Place, Readonly<Record<string, string>>> = {
  'protected VM': {
    'VirtualMachine.Config.ChangeTracking': 'to switch changed-block tracking on',
  },
  'VM that survived': {
    'VirtualMachine.Config.Rename': 'to keep it aside under another name',
    'VirtualMachine.Config.CPUCount': 'to set its CPUs',
    'VirtualMachine.Config.Memory': 'to set its memory',
    'VirtualMachine.Config.EditDevice': 'to put a network card on another network',
  },
  'proxy VM': {
    'VirtualMachine.Config.AddExistingDisk': "to attach a VM's disk to the proxy",
    'VirtualMachine.Config.RemoveDisk': 'to detach it, without deleting it',
  },
  'folder for new VMs': {
    'VirtualMachine.Inventory.Delete': 'to take a failback back',
    'VirtualMachine.Config.AddNewDisk': 'to make the disks',
    'VirtualMachine.Config.RemoveDisk':
      'to leave a disk alone that somebody attached, when the VM is removed',
    'VirtualMachine.Config.AddRemoveDevice': 'to give the VM controllers and network cards',
    'VirtualMachine.Config.EditDevice': 'to put a network card on another network',
    'VirtualMachine.Interact.DeviceConnection': 'to connect a network card',
    'VirtualMachine.Config.CPUCount': 'to set its CPUs',
    'VirtualMachine.Config.Memory': 'to set its memory',
    'VirtualMachine.Config.Settings': 'to set its firmware and the disk to boot from',
    'VirtualMachine.Config.AdvancedConfig': 'to mark the VM as made by a run',
  },
  'resource pool': {
    'Resource.AssignVMToPool': 'to make a VM in it',
  },
  datastore: {
    'Datastore.AllocateSpace': 'to make disks and snapshots on it',
    'Datastore.Browse': "to attach disks that lie on it, and to read a VM's console log",
    'Datastore.FileManagement': "to delete a VM's files when a failback is taken back",
  },
  network: {
    'Network.Assign': 'to put a network card on it',
  },
};

/** Those that every role has, and that nobody can be without. */
const GIVEN = /^System\./;

/** The privileges that the account needs at a place, each with what for; sorted by name. */
export function neededPrivileges(place: Place): { privilege: string; purpose: string }[] {
  const needed = new Map(Object.entries(FURTHER[place]));
  for (const method of METHODS_BY_PLACE[place]) {
    const { privilege } = METHODS[method] ?? {};
    if (privilege == null || GIVEN.test(privilege)) continue;
    const before = needed.get(privilege);
    needed.set(privilege, before === undefined ? `to call ${method}` : `${before}, ${method}`);
  }
  return [...needed]
    .map(([privilege, purpose]) => ({ privilege, purpose }))
    .sort((a, b) => (a.privilege < b.privilege ? -1 : 1));
}

/** All of a role that can do everything; sorted. */
export function rolePrivileges(): string[] {
  const places = Object.keys(METHODS_BY_PLACE) as Place[];
  return [
    ...new Set(places.flatMap((place) => neededPrivileges(place).map(({ privilege }) => privilege))),
  ].sort();
}

/** An object that the account acts on, as a person finds it. */
export interface PlacedObject {
  place: Place;
  ref: ManagedObject;
  /** Its inventory path, or its name. */
  name: string;
}

export interface MissingPrivilege {
  object: PlacedObject;
  privilege: string;
  purpose: string;
}

/**
 * Which of the privileges the account that is logged in has on an object. One that vCenter does not mention counts as
 * missing: a check that is silent would be none.
 */
export async function grantedPrivileges(
  client: VimClient,
  object: ManagedObject,
  privileges: string[],
): Promise<Set<string>> {
  const { authorizationManager, sessionManager } = await client.content();
  if (authorizationManager === undefined || sessionManager === undefined)
    throw new Error(
      'This server has no roles: it is an ESXi host, and no vCenter. Name the vCenter in the settings.',
    );
  const { currentSession } = (await client.get(sessionManager, 'currentSession')) as {
    currentSession?: { key: string };
  };
  if (currentSession === undefined)
    throw new Error('vCenter says nothing of the session that it was asked in.');
  const [answer] = await client.call('HasPrivilegeOnEntities', authorizationManager, {
    entity: [object],
    sessionId: currentSession.key,
    privId: privileges,
  });
  const told = answer?.privAvailability ?? [];
  return new Set(told.filter(({ isGranted }) => isGranted).map(({ privId }) => privId));
}

/** Which privileges the account that is logged in lacks. Asked in one call an object, as each kind needs its own. */
export async function missingPrivileges(
  client: VimClient,
  objects: readonly PlacedObject[],
): Promise<MissingPrivilege[]> {
  const missing: MissingPrivilege[] = [];
  for (const object of objects) {
    const needed = neededPrivileges(object.place);
    if (needed.length === 0) continue;
    const granted = await grantedPrivileges(
      client,
      object.ref,
      needed.map(({ privilege }) => privilege),
    );
    for (const { privilege, purpose } of needed)
      if (!granted.has(privilege)) missing.push({ object, privilege, purpose });
  }
  return missing;
}

/** One sentence an object. */
export function tellMissing(missing: readonly MissingPrivilege[]): string[] {
  const objects = [...new Set(missing.map(({ object }) => object))];
  return objects.map((object) => {
    const here = missing.filter((one) => one.object === object);
    const list = here.map(({ privilege, purpose }) => `${privilege} (${purpose})`).join(', ');
    return `the account lacks ${list}. Give its role these privileges, and let the permission propagate to children.`;
  });
}
