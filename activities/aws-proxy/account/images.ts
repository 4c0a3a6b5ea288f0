import {
  BootModeValues,
  DeregisterImageCommand,
  type EC2Client,
  type Filter,
  type Image,
  paginateDescribeImages,
  type RegisterImageCommandInput,
} from '@aws-sdk/client-ec2';
import { type Firmware } from '../../../hypervisor/port';
import { hasCode } from '../../failures';
import { FILTER_VALUES } from './lookup';

/** What EC2 calls the firmware that an image boots by. */
export const bootModes = {
  bios: BootModeValues.legacy_bios,
  uefi: BootModeValues.uefi,
} as const satisfies Record<Firmware, BootModeValues>;

/** Root device of every image, by which volumes are put in its place; guests on Nitro instances do not see its name. */
export const ROOT_DEVICE = '/dev/xvda';

/** What RegisterImage is told of every image of guests from a data centre. */
export const guestImage = (firmware: Firmware) =>
  ({
    Architecture: 'x86_64',
    VirtualizationType: 'hvm',
    BootMode: bootModes[firmware],
    EnaSupport: true,
    RootDeviceName: ROOT_DEVICE,
  }) satisfies Partial<RegisterImageCommandInput>;

/** Results a page: the most that DescribeImages gives without being asked for fewer. */
const PAGE_SIZE = 1000;

/** This account's own images. */
export async function listImages(ec2: EC2Client, filters: Filter[]): Promise<Image[]> {
  const found: Image[] = [];
  const pages = paginateDescribeImages(
    { client: ec2, pageSize: PAGE_SIZE },
    { Owners: ['self'], Filters: filters },
  );
  for await (const { Images } of pages) found.push(...(Images ?? []));
  return found;
}

/**
 * Images of whoever they are, by id, those that their vendor has deprecated among them. By a filter: of ids, one that is not
 * there would be an error, and nobody would learn of the others.
 */
export async function findImages(ec2: EC2Client, ids: readonly string[]): Promise<Map<string, Image>> {
  const found = new Map<string, Image>();
  for (let at = 0; at < ids.length; at += FILTER_VALUES) {
    const Filters = [{ Name: 'image-id', Values: ids.slice(at, at + FILTER_VALUES) }];
    const pages = paginateDescribeImages(
      { client: ec2, pageSize: PAGE_SIZE },
      { Filters, IncludeDeprecated: true },
    );
    for await (const { Images } of pages)
      for (const image of Images ?? []) found.set(image.ImageId ?? '', image);
  }
  return found;
}

/** DeregisterImage; one that is gone is no error. Its snapshots stay. */
export async function deregisterImage(ec2: EC2Client, ImageId: string): Promise<void> {
  try {
    await ec2.send(new DeregisterImageCommand({ ImageId }));
  } catch (error) {
    if (!hasCode(error, 'InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable')) throw error;
  }
}
