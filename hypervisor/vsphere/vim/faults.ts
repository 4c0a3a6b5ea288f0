import { withoutSecrets } from '../../../host/secrets';
import { type DataObject } from './codec';
import { isA } from './layout';
import { type AnyMethodFault } from './schema';

/** What the server answered instead of what was asked for, or what a task ended with. */
export class VimFault extends Error {
  /** Name of the fault's type, `FileLocked` for one. */
  readonly type: string;

  constructor(
    /** The method that was called. */
    readonly method: string,
    /** The fault's data; `$type` may be one that the schema here does not have. */
    readonly fault: DataObject | AnyMethodFault,
    /** What the server says of it, in the session's language. */
    readonly said = '',
  ) {
    // A server, or what stands before it, may quote the request, which at login has the password in it.
    super(withoutSecrets(`${method}: ${said === '' ? fault.$type : `${said} (${fault.$type})`}`));
    this.name = 'VimFault';
    this.type = fault.$type;
  }

  /** Whether the fault is of a type, or of one derived from it. */
  is(type: string): boolean {
    return isA(this.type, type);
  }
}

/** Whether something thrown is a fault of a type, or of one derived from it. */
export const isFault = (error: unknown, type: string): error is VimFault =>
  error instanceof VimFault && error.is(type);

interface Meaning {
  /** Whether the same call may go through later, without anybody doing anything. */
  retryable: boolean;
  /** What to do, as a sentence or more; a field of the fault by its name in braces. */
  advice: string;
}

/** By type; of several that hold, the first: what is derived stands before what it comes from. */
const MEANINGS: [type: string, meaning: Meaning][] = [
  ['PasswordExpired', { retryable: false, advice: "The account's password has expired: set a new one." }],
  [
    'InvalidLogin',
    { retryable: false, advice: 'Check the user (with its domain, as user@vsphere.local) and the password.' },
  ],
  ['NotAuthenticated', { retryable: true, advice: 'The session has ended; logging in again did not help.' }],
  [
    'NoPermission',
    { retryable: false, advice: "Give vCenter's user the privilege {privilegeId} on {object}." },
  ],
  [
    'RestrictedVersion',
    {
      retryable: false,
      advice:
        'The licence of this host does not allow changes by the API (the free ESXi does not): license it.',
    },
  ],
  ['NotEnoughLicenses', { retryable: false, advice: 'Assign licences in vCenter.' }],
  [
    'FileLocked',
    {
      retryable: true,
      advice:
        '{file} is in use by another VM or another job; it is free when that ends, or lets the disk go.',
    },
  ],
  [
    'NoDiskSpace',
    { retryable: false, advice: 'Free space on the datastore {datastore}: it has none for {file}.' },
  ],
  ['FileNotFound', { retryable: false, advice: 'There is no {file}: was the disk moved or removed?' }],
  [
    'FileAlreadyExists',
    { retryable: false, advice: '{file} exists already: remove it, if nothing needs it.' },
  ],
  ['FileFault', { retryable: false, advice: "vSphere could not work with {file}: see the host's events." }],
  ['TaskInProgress', { retryable: true, advice: 'Another task works on it ({task}).' }],
  ['ConcurrentAccess', { retryable: true, advice: 'Somebody else changed it at the same time.' }],
  ['ResourceInUse', { retryable: true, advice: '{name} is in use.' }],
  ['Timedout', { retryable: true, advice: 'vSphere gave up waiting.' }],
  [
    'InvalidPowerState',
    { retryable: false, advice: 'The VM is {existingState}; it would have to be {requestedState}.' },
  ],
  [
    'QuestionPending',
    { retryable: false, advice: 'Answer the question that the VM asks in vCenter first: {text}' },
  ],
  [
    'InvalidHostState',
    { retryable: false, advice: 'The host is in no state for this (in maintenance?): {host}.' },
  ],
  ['DuplicateName', { retryable: false, advice: 'There is one named {name} already ({object}).' }],
  ['AlreadyExists', { retryable: false, advice: '{name} exists already.' }],
  [
    'InsufficientStorageSpace',
    { retryable: false, advice: 'Free space on the datastores, or choose another one.' },
  ],
  [
    'InsufficientResourcesFault',
    {
      retryable: false,
      advice:
        "The hosts or the resource pool have not enough free CPU or memory: free some, or raise the pool's limits.",
    },
  ],
  ['HostCommunication', { retryable: true, advice: 'vCenter does not reach the host at the moment.' }],
  ['HostConnectFault', { retryable: true, advice: 'vCenter does not reach the host at the moment.' }],
  [
    'ApplicationQuiesceFault',
    {
      retryable: false,
      advice: 'The guest could not be quiesced: see its VMware Tools, and its VSS or freeze scripts.',
    },
  ],
  [
    'FilesystemQuiesceFault',
    {
      retryable: false,
      advice: 'The guest could not be quiesced: see its VMware Tools, and its VSS or freeze scripts.',
    },
  ],
  [
    'TooManySnapshotLevels',
    {
      retryable: false,
      advice: 'The VM has as many snapshots as vSphere allows: delete some, and consolidate its disks.',
    },
  ],
  ['ToolsUnavailable', { retryable: false, advice: 'VMware Tools do not run in the guest.' }],
  [
    'CannotAccessNetwork',
    { retryable: false, advice: 'The host of the VM has not the network {network}: choose another one.' },
  ],
  [
    'DatacenterMismatch',
    { retryable: false, advice: 'Proxy, VM and datastore have to be of one datacenter.' },
  ],
  [
    'InaccessibleDatastore',
    { retryable: true, advice: 'The host does not reach the datastore {datastore} at the moment.' },
  ],
  ['InvalidDatastorePath', { retryable: false, advice: '{datastorePath} is no path on a datastore.' }],
  [
    'InvalidDatastore',
    { retryable: false, advice: 'The datastore {datastore} is not there, or not reachable from the host.' },
  ],
  ['ManagedObjectNotFound', { retryable: false, advice: '{obj} is not there any more.' }],
  ['InvalidArgument', { retryable: false, advice: 'vSphere does not take {invalidProperty}.' }],
  ['GenericVmConfigFault', { retryable: false, advice: '{reason}' }],
  [
    'SystemError',
    { retryable: true, advice: "vSphere failed ({reason}): see vCenter's and the host's logs." },
  ],
];

const meaningOf = (fault: VimFault): Meaning | undefined => MEANINGS.find(([type]) => fault.is(type))?.[1];

/** Whether the same call may go through later, without anybody doing anything. What is not known is not tried again. */
export const isRetryable = (fault: VimFault): boolean => meaningOf(fault)?.retryable ?? false;

/** The fault for a person: what the server says, what to do, and what else the fault brings along. */
export function explain(fault: VimFault): string {
  const advice = meaningOf(fault)?.advice.replace(/\{(\w+)\}/g, (_, field: string) =>
    shown((fault.fault as unknown as DataObject)[field]),
  );
  const sentences = [ended(fault.message), advice, ...messagesOf(fault.fault as DataObject)];
  return sentences
    .filter((one, index) => one !== undefined && one !== '' && sentences.indexOf(one) === index)
    .join(' ');
}

/** What the server says of the details, in the session's language. */
function messagesOf(fault: DataObject): string[] {
  const messages = Array.isArray(fault.faultMessage) ? (fault.faultMessage as unknown[]) : [];
  const cause = fault.faultCause as { localizedMessage?: unknown } | undefined;
  return [...messages.map((one) => (one as { message?: unknown } | null)?.message), cause?.localizedMessage]
    .filter((one) => typeof one === 'string')
    .map(ended);
}

const ended = (text: string): string => (text === '' || /[.!?:]$/.test(text) ? text : `${text}.`);

function shown(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'object' && value !== null && '$ref' in value && 'value' in value)
    return `${String(value.$ref)} ${String(value.value)}`;
  return '(not told)';
}
