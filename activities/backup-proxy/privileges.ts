import {
  type EBSClient,
  GetSnapshotBlockCommand,
  ListChangedBlocksCommand,
  ListSnapshotBlocksCommand,
} from '@aws-sdk/client-ebs';
import { type Finding, type Severity } from '../../plan/readiness';
import { listBackups } from '../../repository/backups/backups';
import { pinsPrefix } from '../../repository/backups/pins';
import { backupsPrefix, manifestKey, packsPrefix } from '../../repository/objects/keys';
import { type ObjectStore } from '../../repository/objects/object-store';
import { addFindings, privilegeFindings, writeFindings } from '../privileges';
import { hostOf } from '../worker-identity';

/** The fewest that EBS direct lists. EBS direct APIs Reference, MaxResults. */
const FEWEST = 100;

/** What a backup proxy is asked to prove. */
export interface BackupProxyQuestion {
  /** Whose backups it would write; one VM stands for all. */
  vm: string;
  /** A snapshot of a DR copy, which a failback reads as well; absent where there is none. */
  snapshotId?: string;
}

/** What a backup proxy may not do of backups and failbacks, asked by calls that change nothing. @param worker its identity */
export async function backupProxyPrivileges(
  { store, ebs }: { store: ObjectStore; ebs: EBSClient },
  worker: string,
  { vm, snapshotId }: BackupProxyQuestion,
): Promise<Finding[]> {
  const who = `The backup proxy ${worker}`;
  const host = hostOf(worker);
  const severity: Severity = 'warning';
  const needed = 'a backup does';
  const writing = (prefix: string) => ({
    ...{ who, severity, needed },
    on: `${prefix}* of the repository`,
    about: `${host} ${prefix}*`,
  });
  const found = await Promise.all([
    // As the pins of backups are called, which are all that it may write there; it is not read as one.
    writeFindings(store, `${pinsPrefix(vm)}backup-check`, writing(pinsPrefix(vm))),
    addingFindings(store, writing(backupsPrefix(vm)), () => newestManifestKey(store, vm)),
    addingFindings(store, writing(packsPrefix(vm)), () => anyKey(store, packsPrefix(vm))),
    ...(snapshotId === undefined
      ? []
      : [ebsPrivileges(ebs, { who, about: `${host} DR copies` }, snapshotId)]),
  ]);
  return found.flat();
}

/** @param find an object that is there; before the first backup there is none to ask by */
async function addingFindings(
  store: ObjectStore,
  privilege: Parameters<typeof addFindings>[2],
  find: () => Promise<string | undefined>,
): Promise<Finding[]> {
  let present: string | undefined;
  const listing = await privilegeFindings({ ...privilege, action: 's3:ListBucket' }, async () => {
    present = await find();
  });
  return present === undefined ? listing : addFindings(store, present, privilege);
}

/** Retention never takes the newest: what is added in its place is refused for certain. */
async function newestManifestKey(store: ObjectStore, vm: string): Promise<string | undefined> {
  const newest = (await listBackups(store, vm)).at(-1);
  return newest === undefined ? undefined : manifestKey(vm, newest);
}

/** Were the object deleted this very moment, an empty one would stand there until the next sweep, which nothing refers to. */
async function anyKey(store: ObjectStore, prefix: string): Promise<string | undefined> {
  for await (const { key } of store.list(prefix)) return key;
  return undefined;
}

async function ebsPrivileges(
  ebs: EBSClient,
  asked: { who: string; about: string },
  SnapshotId: string,
): Promise<Finding[]> {
  const ask = (action: string, question: () => Promise<unknown>): Promise<Finding[]> =>
    privilegeFindings(
      {
        ...{ ...asked, action, on: `snapshots of DR copies (${SnapshotId})`, severity: 'warning' },
        needed: 'a failback does',
      },
      question,
      // Of a snapshot that was replaced meanwhile, EBS says nothing of permissions.
      ['ResourceNotFoundException'],
    );
  let first: { BlockIndex?: number; BlockToken?: string } | undefined;
  const listed = await Promise.all([
    ask('ebs:ListSnapshotBlocks', async () => {
      const { Blocks } = await ebs.send(new ListSnapshotBlocksCommand({ SnapshotId, MaxResults: FEWEST }));
      first = Blocks?.[0];
    }),
    ask('ebs:ListChangedBlocks', () =>
      ebs.send(new ListChangedBlocksCommand({ SecondSnapshotId: SnapshotId, MaxResults: FEWEST })),
    ),
  ]);
  const { BlockIndex, BlockToken } = first ?? {};
  const read =
    BlockToken === undefined
      ? []
      : await ask('ebs:GetSnapshotBlock', async () => {
          const { BlockData } = await ebs.send(
            new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }),
          );
          // Read to its end, so that the connection is free again.
          await BlockData?.transformToByteArray();
        });
  return [...listed.flat(), ...read];
}
