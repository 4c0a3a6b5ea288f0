import {
  type EBSClient,
  GetSnapshotBlockCommand,
  ListChangedBlocksCommand,
  ListSnapshotBlocksCommand,
} from '@aws-sdk/client-ebs';
import { type Finding } from '../../plan/readiness';
import { pinsPrefix } from '../../repository/backups/pins';
import { packsPrefix } from '../../repository/objects/keys';
import { type ObjectStore } from '../../repository/objects/object-store';
import { privilegeFindings, writeFindings } from '../privileges';
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
  const severity = 'warning';
  const needed = 'a backup does';
  const writes = [packsPrefix(vm), pinsPrefix(vm)];
  const found = await Promise.all([
    ...writes.map((prefix) =>
      writeFindings(store, `${prefix}check`, {
        ...{ who, severity, needed },
        on: `${prefix}* of the repository`,
        about: `${host} ${prefix}*`,
      }),
    ),
    ...(snapshotId === undefined
      ? []
      : [ebsPrivileges(ebs, { who, about: `${host} DR copies` }, snapshotId)]),
  ]);
  return found.flat();
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
