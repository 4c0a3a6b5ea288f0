import { type EC2Client, type Image } from '@aws-sdk/client-ec2';
import { type Firmware } from '../../../hypervisor/port';
import { type DrPlan } from '../../../plan/schema';
import { type DrCopy } from '../account/contract';
import { bootModes, findImages } from '../account/images';

const licensedImagesOf = ({ vms }: DrPlan): { vm: string; imageId: string }[] =>
  vms.flatMap(({ name, licensedImage }) =>
    licensedImage === undefined ? [] : [{ vm: name, imageId: licensedImage }],
  );

/** The licensed images that the plan names, by id; what does not exist, or is not shared, is absent. */
export async function findLicensedImages(ec2: EC2Client, plan: DrPlan): Promise<ReadonlyMap<string, Image>> {
  const wanted = licensedImagesOf(plan);
  return wanted.length === 0
    ? new Map()
    : findImages(ec2, [...new Set(wanted.map(({ imageId }) => imageId))]);
}

/** What is wrong with the licensed images of the plan. */
export function licensedImageFindings(
  images: ReadonlyMap<string, Image>,
  plan: DrPlan,
  drCopies: DrCopy[],
): string[] {
  const firmwareOf = new Map(drCopies.map(({ vm, configuration }) => [vm, configuration.firmware]));
  return licensedImagesOf(plan).flatMap(({ vm, imageId }) => {
    const image = images.get(imageId);
    if (image === undefined)
      return [
        `The licensedImage ${imageId} of ${vm} is not in ${plan.recoverySite.region}, or is not shared with this account.`,
      ];
    return imageFindings(image, firmwareOf.get(vm)).map(
      (finding) => `The licensedImage ${imageId} of ${vm} ${finding}.`,
    );
  });
}

/** Why a guest from a data centre would not boot on an instance of the image. What EC2 does not say is not held against it. */
export function imageFindings(image: Image, firmware: Firmware | undefined): string[] {
  const { State, Architecture, VirtualizationType, RootDeviceType, RootDeviceName, EnaSupport } = image;
  const more = (image.BlockDeviceMappings ?? []).filter(
    ({ DeviceName, Ebs }) => Ebs !== undefined && DeviceName !== RootDeviceName,
  ).length;
  return [
    ...(State === 'available' ? [] : [`is in the state ${State}`]),
    ...(Architecture === 'x86_64' ? [] : [`is for ${Architecture}, not x86_64`]),
    ...(VirtualizationType === 'hvm' ? [] : [`is of the virtualization type ${VirtualizationType}, not hvm`]),
    ...(RootDeviceType === 'ebs' ? [] : [`has a root of the type ${RootDeviceType}, not an EBS volume`]),
    ...(EnaSupport === false ? ['is not for ENA network cards'] : []),
    ...bootFindings(image, firmware),
    // They would be disks of the guest that it never had.
    ...(more === 0 ? [] : [`has ${more} more volume${more === 1 ? '' : 's'} besides its root`]),
  ];
}

/**
 * Which firmware an instance of the image has. "Instance launch behavior with Amazon EC2 boot modes" (Amazon EC2 User Guide):
 * an x86_64 type of its own accord boots by BIOS; uefi-preferred is UEFI wherever the type can.
 */
function bootFindings({ BootMode }: Image, firmware: Firmware | undefined): string[] {
  if (firmware === undefined) return [];
  const mode: string = BootMode ?? bootModes.bios;
  const fits = firmware === 'uefi' ? mode === 'uefi' || mode === 'uefi-preferred' : mode === bootModes.bios;
  return fits ? [] : [`boots in ${mode} mode, not in ${bootModes[firmware]}, which the VM's firmware needs`];
}
