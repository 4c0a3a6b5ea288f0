import { SHOP_HOSTED_ZONE_ID } from './aws/fixtures';
import {
  ChangeResourceRecordSetsCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { type SandboxConfig } from './config';
import { buildShopGuests } from './guests/build';
import { buildFamilyGuests } from './guests/families/build';
import { type FamilyName } from './guests/families/families';
import { type SampleGuest } from './guests/sample-guest';
import { clientEnvironment } from './supervisor/processes';
import { type PrimarySite } from './datacenter/primary-site';

/** Where the application is found while it runs at the primary site. */
export const SHOP_NAME = 'www.shop.example';
/** The published address of the web VM ends like its address in the data centre, 192.168.10.20. */
export const shopPrimaryAddress = (config: SandboxConfig): string => `127.${config.loopbackOctet}.10.20`;

/** The published address of a VM of another family, which has one for its page. */
export function familyPrimaryAddress(config: SandboxConfig, vm: FamilyName): string {
  return `127.${config.loopbackOctet}.10.${FAMILY_ADDRESSES[vm]}`;
}

/** Last bytes of their addresses in the data centre, 192.168.10.x. */
const FAMILY_ADDRESSES: Record<FamilyName, number> = { 'rhel-like': 40, 'suse-like': 50 };

/** Puts the shop's VMs into an empty data centre and starts them; leaves VMs that are there alone. */
export async function installShop(
  site: PrimarySite,
  cacheDirectory: string,
  log: (line: string) => void,
): Promise<void> {
  await install(site, await buildShopGuests({ cacheDirectory, log }), log);
}

/** Does the same with the VMs of other families. They have no name in the zone: each is asked at its address. */
export async function installFamilies(
  site: PrimarySite,
  cacheDirectory: string,
  log: (line: string) => void,
): Promise<void> {
  await install(site, await buildFamilyGuests({ cacheDirectory, log }), log);
}

async function install(site: PrimarySite, guests: SampleGuest[], log: (line: string) => void): Promise<void> {
  const present = new Set(await site.hypervisor.listVms());
  for (const guest of guests)
    if (!present.has(guest.name)) {
      log(`putting ${guest.name} into the data centre`);
      await site.importVm(guest);
    }
  for (const { name } of guests) await site.hypervisor.powerOn(name);
}

/** Gives the shop's name its address at the primary site, unless the zone has one already. */
export async function nameShop(config: SandboxConfig): Promise<void> {
  const env = clientEnvironment(config);
  const client = new Route53Client({
    region: config.region,
    endpoint: env.AWS_ENDPOINT_URL,
    credentials: { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
  });
  try {
    const { ResourceRecordSets } = await client.send(
      new ListResourceRecordSetsCommand({
        HostedZoneId: SHOP_HOSTED_ZONE_ID,
        StartRecordName: SHOP_NAME,
        StartRecordType: 'A',
      }),
    );
    if (ResourceRecordSets?.some(({ Name, Type }) => Name === `${SHOP_NAME}.` && Type === 'A')) return;
    await client.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: SHOP_HOSTED_ZONE_ID,
        ChangeBatch: {
          Changes: [
            {
              Action: 'CREATE',
              ResourceRecordSet: {
                Name: SHOP_NAME,
                Type: 'A',
                TTL: 60,
                ResourceRecords: [{ Value: shopPrimaryAddress(config) }],
              },
            },
          ],
        },
      }),
    );
  } finally {
    client.destroy();
  }
}
