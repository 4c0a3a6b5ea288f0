import { CompleteSnapshotCommand, type EBSClient, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { type EC2Client, type Image, RegisterImageCommand } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type Firmware } from '../../../hypervisor/port';
import { type RunContext } from '../../../plan/run';
import { hasCode } from '../../failures';
import { clientToken } from '../account/client-token';
import { bootModes, deregisterImage, guestImage, listImages, ROOT_DEVICE } from '../account/images';
import { deleteSnapshots, findSnapshots, untilCompleted } from '../account/snapshots';
import { readTags, tagFilters, tagList } from '../account/tags';
import { known } from '../account/volumes';
import { waitFor, type WaitOptions } from '../account/waiting';

/**
 * The shell image: an AMI that boots nothing. An instance is launched from it only to exist with the right firmware,
 * and has its root replaced before it ever runs for good. One a firmware, account and Region; all plans share it, so
 * it carries no plan's tags and no run's clean-up touches it.
 */

/** The smallest volume that EBS makes. */
const SHELL_GIB = 1;
/** Seconds for a second image to show itself, when another worker registered one at the same time. */
const VISIBLE_SECONDS = 120;
/** Minutes until a shell snapshot that no image uses counts as left behind by a run that died. */
const ABANDONED_MINUTES = 60;

/** Names of images are unique in an account and Region: of two workers that register at once, one is refused. */
const imageName = (firmware: Firmware): string => `lifeboat-shell-${firmware}`;

export interface ShellImageClients {
  ec2: EC2Client;
  ebs: EBSClient;
}

/** Finds the shell image of the firmware, or registers it. Safe when several workers do so at once. */
export async function ensureShellImage(
  clients: ShellImageClients,
  { run, firmware }: { run: RunContext; firmware: Firmware },
  options: WaitOptions = {},
): Promise<{ imageId: string }> {
  const { ec2 } = clients;
  const found = await chooseImage(ec2, firmware);
  const imageId = found ?? (await registerImage(clients, run, firmware, options));
  await waitFor(
    `the image ${imageId} to be available`,
    async () => {
      const image = (await listShellImages(ec2, firmware)).find((candidate) => candidate.ImageId === imageId);
      if (image?.State === 'failed' || image?.State === 'error' || image?.State === 'invalid')
        throw ApplicationFailure.nonRetryable(
          `The image ${imageId} is in the state ${image.State}; deregister it and start again.`,
          'ShellImageFailed',
        );
      return image?.State === 'available' ? true : undefined;
    },
    options,
  );
  if (found === undefined) await deleteSpareSnapshots(ec2, firmware, imageId, run);
  return { imageId };
}

/** Own images with the tags and the boot mode of a shell, oldest first. */
async function listShellImages(ec2: EC2Client, firmware: Firmware): Promise<Image[]> {
  return (await listImages(ec2, tagFilters({ role: 'shell', firmware })))
    .filter((image) => {
      const tags = readTags(image.Tags, ['role', 'firmware']);
      return tags?.role === 'shell' && tags.firmware === firmware && image.BootMode === bootModes[firmware];
    })
    .sort(
      (a, b) =>
        compare(a.CreationDate ?? '', b.CreationDate ?? '') || compare(a.ImageId ?? '', b.ImageId ?? ''),
    );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The oldest image counts, so that all who look choose the same; any other is deregistered. */
async function chooseImage(ec2: EC2Client, firmware: Firmware): Promise<string | undefined> {
  const [chosen, ...others] = (await listShellImages(ec2, firmware)).filter(
    ({ State }) => State === 'available' || State === 'pending',
  );
  // Another worker chooses as we do, and one that is gone is none the worse.
  for (const { ImageId = '' } of others) await deregisterImage(ec2, ImageId);
  return chosen?.ImageId;
}

async function registerImage(
  { ec2, ebs }: ShellImageClients,
  run: RunContext,
  firmware: Firmware,
  options: WaitOptions,
): Promise<string> {
  const tags = tagList({ role: 'shell', firmware });
  const snapshotId = await emptySnapshot({ ec2, ebs }, run, firmware, options);
  try {
    const { ImageId } = await ec2.send(
      new RegisterImageCommand({
        Name: imageName(firmware),
        Description: 'Boots nothing: Lifeboat launches instances from it whose volumes it then replaces.',
        ...guestImage(firmware),
        BlockDeviceMappings: [
          {
            DeviceName: ROOT_DEVICE,
            Ebs: {
              SnapshotId: snapshotId,
              VolumeSize: SHELL_GIB,
              VolumeType: 'gp3',
              DeleteOnTermination: true,
            },
          },
        ],
        TagSpecifications: [{ ResourceType: 'image', Tags: tags }],
      }),
    );
    return known('RegisterImage', ImageId);
  } catch (error) {
    if (!hasCode(error, 'InvalidAMIName.Duplicate')) throw error;
  }
  // Registered by another worker just now, or by an earlier try of ours whose answer was lost.
  return waitFor(
    `the image ${imageName(firmware)} to be listed with Lifeboat's tags`,
    () => chooseImage(ec2, firmware),
    { ...options, limitSeconds: VISIBLE_SECONDS },
  );
}

/** A completed snapshot without a single block, so all zeros. */
async function emptySnapshot(
  { ec2, ebs }: ShellImageClients,
  run: RunContext,
  firmware: Firmware,
  options: WaitOptions,
): Promise<string> {
  const { SnapshotId } = await ebs.send(
    new StartSnapshotCommand({
      VolumeSize: SHELL_GIB,
      ClientToken: clientToken({ runId: run.runId, vm: `shell ${firmware}`, call: 'StartSnapshot' }),
      Description: `Empty disk of ${imageName(firmware)}`,
      Tags: tagList({ role: 'shell', firmware, run: run.runId }),
      // Nothing is written, so it is completed at once; the shortest timeout that the API takes.
      Timeout: 10,
    }),
  );
  const id = known('StartSnapshot', SnapshotId);
  await waitFor(
    `the snapshot ${id} to be visible`,
    async () => {
      try {
        await ebs.send(new CompleteSnapshotCommand({ SnapshotId: id, ChangedBlocksCount: 0 }));
        return true;
      } catch (error) {
        // "Does not exist" for a moment after StartSnapshot; a ValidationException once it is completed.
        if (hasCode(error, 'ResourceNotFoundException')) return undefined;
        if (hasCode(error, 'ValidationException', 'ConflictException')) return true;
        throw error;
      }
    },
    { ...options, limitSeconds: VISIBLE_SECONDS },
  );
  await untilCompleted(ec2, [id], options.pollSeconds ?? 1);
  return id;
}

/** Deletes shell snapshots that no image uses: this run's, and those of runs that died long ago. */
async function deleteSpareSnapshots(
  ec2: EC2Client,
  firmware: Firmware,
  imageId: string,
  run: RunContext,
): Promise<void> {
  const images = await listShellImages(ec2, firmware);
  // Not listed yet: what it uses is unknown, so nothing is spare.
  if (!images.some((image) => image.ImageId === imageId)) return;
  const used = new Set(
    images.flatMap((image) => image.BlockDeviceMappings?.map(({ Ebs }) => Ebs?.SnapshotId) ?? []),
  );
  const abandoned = Date.now() - ABANDONED_MINUTES * 60_000;
  const spare = (await findSnapshots(ec2, { role: 'shell', firmware })).filter(
    ({ SnapshotId, Tags, StartTime }) =>
      !used.has(SnapshotId) &&
      (readTags(Tags, ['run'])?.run === run.runId || (StartTime?.getTime() ?? Infinity) < abandoned),
  );
  await deleteSnapshots(
    ec2,
    spare.map(({ SnapshotId }) => SnapshotId),
  );
}
