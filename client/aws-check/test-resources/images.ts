import {
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  type Image,
  type Instance,
  RegisterImageCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { findImages, guestImage, ROOT_DEVICE } from '../../../activities/aws-proxy/account/images';
import { type TriedPlace } from '../place';
import { IMAGE_NAME } from '../site';
import { type Trial } from './trial';

/** An image of a child that EBS direct wrote, and a launch by it that is not done: what a failover with launch copies does. */
export async function tryImage(
  trial: Trial,
  snapshotId: string,
  place: TriedPlace | undefined,
): Promise<void> {
  const { questions, clients, tags, id: run } = trial;
  const { ec2 } = clients;
  const register = () =>
    trial.make(
      'image',
      0,
      ec2.send(
        new RegisterImageCommand({
          Name: `${IMAGE_NAME}${run}`,
          ...guestImage('bios'),
          BlockDeviceMappings: [
            { DeviceName: ROOT_DEVICE, Ebs: { SnapshotId: snapshotId, DeleteOnTermination: true } },
          ],
          TagSpecifications: [{ ResourceType: 'image', Tags: tags }],
        }),
      ),
    );
  const registered = await questions.ask({
    id: 'ec2.image',
    about: 'an image is registered of the child, as its root',
    action: 'ec2:RegisterImage',
    call: register,
  });
  const imageId = registered?.ImageId;
  if (imageId === undefined) return;
  await questions.watch<Image>({
    id: 'ec2.image-available',
    about: 'the image becomes available',
    action: 'ec2:DescribeImages',
    look: async () => (await findImages(ec2, [imageId])).get(imageId),
    state: ({ State }) => State,
    until: 'available',
    never: ['failed', 'error', 'invalid'],
    facts: ({
      Architecture,
      BootMode,
      EnaSupport,
      RootDeviceName,
      VirtualizationType,
      PlatformDetails,
      ...image
    }) => {
      const [root] = image.BlockDeviceMappings ?? [];
      return {
        ...{ Architecture: Architecture ?? null, BootMode: BootMode ?? null, EnaSupport: EnaSupport ?? null },
        RootDeviceName: RootDeviceName ?? null,
        VirtualizationType: VirtualizationType ?? null,
        PlatformDetails: PlatformDetails ?? null,
        devices: image.BlockDeviceMappings?.length ?? 0,
        'of the child': root?.Ebs?.SnapshotId === snapshotId,
        'root goes with the instance': root?.Ebs?.DeleteOnTermination ?? null,
      };
    },
  });
  await questions.ask({
    id: 'ec2.image-name-taken',
    about: 'a second image of the same name is refused',
    action: 'ec2:RegisterImage',
    call: register,
  });
  await questions.ask({
    id: 'ec2.delete-snapshot-of-image',
    about: 'a snapshot that an image is made of is not deleted',
    action: 'ec2:DeleteSnapshot',
    call: () => ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotId })),
  });
  await tryLaunch(trial, imageId, place);
  await questions.ask({
    id: 'ec2.deregister',
    about: 'the image is deregistered',
    action: 'ec2:DeregisterImage',
    call: () => ec2.send(new DeregisterImageCommand({ ImageId: imageId })),
  });
  await questions.ask({
    id: 'ec2.deregister-again',
    about: 'deregistering it again says that it is gone',
    action: 'ec2:DeregisterImage',
    call: () => ec2.send(new DeregisterImageCommand({ ImageId: imageId })),
  });
}

/** Asks EC2 whether it would launch, and has it not done (DryRun). */
async function tryLaunch(
  { questions, clients, tags }: Trial,
  ImageId: string,
  place: TriedPlace | undefined,
) {
  const question = {
    id: 'ec2.launch',
    about: 'an instance would be launched by the image (dry run)',
    action: 'ec2:RunInstances',
  };
  if (place === undefined) return questions.tell(question, 'not asked', 'There is no subnet to launch into.');
  await questions.ask({
    ...question,
    call: () =>
      clients.ec2.send(
        new RunInstancesCommand({
          DryRun: true,
          ImageId,
          InstanceType: place.instanceType as Instance['InstanceType'],
          MinCount: 1,
          MaxCount: 1,
          NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: place.subnet, Groups: place.securityGroups }],
          MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
          TagSpecifications: (['instance', 'volume', 'network-interface'] as const).map((ResourceType) => ({
            ResourceType,
            Tags: tags,
          })),
        }),
      ),
  });
}
