import { type IamRole, type Recorded } from './recorded';

/** A request that Lifeboat makes, and that no run of the sandbox has, with the reason. */
export interface Unrecorded {
  why: string;
  request: Recorded;
}

const REGION = 'eu-central-1';
const OF_PLAN = { 'aws:ResourceTag/lifeboat:plan': 'shop' };
const BUCKET = 'arn:aws:s3:::lifeboat-shop/dr';
const key = (id: string): string => `arn:aws:kms:${REGION}:000000000000:key/${id}`;

/** The sandbox's network cards go with their instance, and have no tags. */
const removingCard: Unrecorded = {
  why: 'a network card that a launch has left without its instance',
  request: {
    action: 'ec2:DeleteNetworkInterface',
    resource: `arn:aws:ec2:${REGION}:000000000000:network-interface/eni-1`,
    context: OF_PLAN,
  },
};

const usingKey = (action: string, id: string, why: string): Unrecorded => ({
  why,
  request: { action, resource: key(id), context: {} },
});

/** Which disk of its VM a snapshot or a volume is, where that has several controllers. */
function ofController(resource: string, role: string): Unrecorded[] {
  const tagKeys = ['lifeboat:boot', 'lifeboat:controller', 'lifeboat:disk', 'lifeboat:slot'];
  const context = { ...OF_PLAN, 'aws:ResourceTag/lifeboat:role': role, 'aws:TagKeys': tagKeys };
  return [
    {
      why: 'a VM with disks at several controllers',
      request: { action: 'ec2:CreateTags', resource, context },
    },
  ];
}

export const UNRECORDED: Record<IamRole, Unrecorded[]> = {
  'aws-proxy': [
    removingCard,
    {
      why: 'a shell image that another worker has made at the same time',
      request: {
        action: 'ec2:DeregisterImage',
        resource: `arn:aws:ec2:${REGION}::image/ami-1`,
        context: { 'aws:ResourceTag/lifeboat:role': 'shell' },
      },
    },
    {
      why: "consoles of more than 24 of a VM's runs",
      request: { action: 's3:DeleteObject', resource: `${BUCKET}/consoles/NAME`, context: {} },
    },
    ...['backups/YYYYMMDDTHHMMSSZ-RUN/DISK.map', 'maps/YYYYMMDDTHHMMSSZ-RUN-DISK-1'].map((object) => ({
      why: 'a backup that retention has given up, hours after it was retired',
      request: { action: 's3:DeleteObject', resource: `${BUCKET}/VM/${object}`, context: {} },
    })),
    ...ofController(`arn:aws:ec2:${REGION}::snapshot/snap-1`, 'away-copy'),
    ...ofController(`arn:aws:ec2:${REGION}:000000000000:volume/vol-1`, 'recovery'),
  ],
  'backup-proxy': [usingKey('kms:Decrypt', 'KEY', 'a failback of encrypted volumes')],
  control: [
    usingKey('kms:Decrypt', 'TOPIC-KEY', "an encrypted topic, which the sandbox's are not"),
    usingKey('kms:GenerateDataKey', 'TOPIC-KEY', "an encrypted topic, which the sandbox's are not"),
  ],
  command: [
    removingCard,
    {
      why: 'evidence that a person signs off',
      request: { action: 's3:PutObject', resource: `${BUCKET}/evidence/NAME`, context: {} },
    },
  ],
};
