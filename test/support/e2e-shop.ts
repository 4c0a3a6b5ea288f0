import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { Resolver } from 'node:dns/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { listInstances } from '../../activities/aws-proxy/account/lookup';
import { tagFilters } from '../../activities/aws-proxy/account/tags';
import { dialer, parseDialRoutes } from '../../activities/dial';
import { workerEnvironment } from '../../sandbox/supervisor/processes';
import { installShop, nameShop, SHOP_NAME } from '../../sandbox/application';
import { buildShopGuests } from '../../sandbox/guests/build';
import { projectRoot } from '../../host/project-root';
import { type MadeDisk, makeRawDisk } from './e2e-disks';
import { type E2eSandbox } from './e2e-sandbox';
import { eventually } from './eventually';

/** Seconds in which both guests boot one after the other on a busy machine. */
const BOOT_SECONDS = 180;

/**
 * A third disk of db that its guest never touches: the one whose bytes must be the same at every site and at any
 * time, with a size that is neither a whole GiB nor a whole block.
 */
export const ARCHIVE: MadeDisk = {
  key: 'archive',
  sizeBytes: 40 * 2 ** 20 + 512,
  slot: 2,
  boot: false,
  blocks: [0, 1, 17, 40, 41, 79, 80],
};

export const archiveFile = (sandbox: E2eSandbox): string => join(sandbox.config.directory, 'archive.raw');

/** Installs the sample application, db with its archive, and waits until it serves. */
export async function installShopWithArchive(sandbox: E2eSandbox): Promise<void> {
  const cacheDirectory = join(projectRoot(), '.lifeboat', 'cache');
  const db = (await buildShopGuests({ cacheDirectory, log: () => {} })).find(({ name }) => name === 'db');
  if (!db) throw new Error('The sample application has no db.');
  await makeRawDisk(archiveFile(sandbox), 'archive', ARCHIVE);
  const { key, sizeBytes, slot, boot } = ARCHIVE;
  await sandbox.site.importVm({
    ...db,
    configuration: {
      ...db.configuration,
      disks: [...db.configuration.disks, { key, sizeBytes, slot, boot }],
    },
    rawDisks: [...db.rawDisks, { key, path: archiveFile(sandbox) }],
  });
  await nameShop(sandbox.config);
  // Leaves db, which is there already, as it is.
  await installShop(sandbox.site, cacheDirectory, () => {});
  await orders(sandbox);
}

/** The application's address as the hosted zone's own server tells it. */
export async function shopAddress({ config }: Pick<E2eSandbox, 'config'>): Promise<string> {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([`127.0.0.1:${config.ports.dns}`]);
  const [address] = await resolver.resolve4(SHOP_NAME);
  if (address === undefined) throw new Error(`${SHOP_NAME} has no address.`);
  return address;
}

/** What the application lists, asked at the address that its name has. */
export function orders(sandbox: Pick<E2eSandbox, 'config'>): Promise<string[]> {
  return eventually(BOOT_SECONDS, async () => {
    const listed = JSON.parse(await ask(sandbox, '/orders')) as { item: string }[];
    return listed.map(({ item }) => item);
  });
}

/**
 * What the application lists in a test failover, whose instances no name leads to, asked as an AWS proxy asks them.
 * @throws Error where it does not answer (yet)
 */
export async function ordersInTest(
  { aws, config }: Pick<E2eSandbox, 'aws' | 'config'>,
  plan: string,
  vm: string,
): Promise<string[]> {
  const [instance] = (await listInstances(aws.ec2, tagFilters({ plan, vm, role: 'test' }))).filter(
    ({ State }) => State?.Name === 'running',
  );
  if (instance?.PrivateIpAddress === undefined) throw new Error(`${vm} has no instance yet.`);
  const host = instance.PrivateIpAddress;
  const signal = AbortSignal.timeout(5000);
  const dial = dialer(parseDialRoutes(workerEnvironment(config).LIFEBOAT_DIAL ?? ''));
  const socket = await dial(host, 80, signal);
  const [answer] = (await once(
    get({ host, path: '/orders', createConnection: () => socket, signal }),
    'response',
  )) as [IncomingMessage];
  return (JSON.parse(await text(answer)) as { item: string }[]).map(({ item }) => item);
}

export async function placeOrder(sandbox: Pick<E2eSandbox, 'config'>, item: string): Promise<void> {
  await ask(sandbox, '/orders', { method: 'POST', body: JSON.stringify({ item }) });
}

export const page = (sandbox: Pick<E2eSandbox, 'config'>): Promise<string> => ask(sandbox, '/');

async function ask(sandbox: Pick<E2eSandbox, 'config'>, path: string, init?: RequestInit): Promise<string> {
  const response = await fetch(`http://${await shopAddress(sandbox)}${path}`, {
    ...init,
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
  return text;
}

/** On the sample VMs' kernel command line; the same number of characters sends the kernel's words to a serial port. */
const QUIET = 'quiet mitigations=off';
const TALKATIVE = 'console=ttyS0'.padEnd(QUIET.length);

/**
 * Lets a sample VM's kernel write to the serial console, by its boot menu alone: the text is replaced in place, so
 * that neither its file nor the file system changes otherwise.
 */
export async function letKernelTalk(rawDisk: string): Promise<void> {
  const file = await open(rawDisk, 'r+');
  try {
    const chunk = Buffer.alloc(4 * 2 ** 20);
    const { size } = await file.stat();
    let replaced = 0;
    for (let offset = 0; offset < size; offset += chunk.length - QUIET.length) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, offset);
      const text = chunk.subarray(0, bytesRead);
      for (let at = text.indexOf(QUIET); at >= 0; at = text.indexOf(QUIET, at + 1)) {
        await file.write(TALKATIVE, offset + at);
        replaced++;
      }
    }
    if (replaced === 0) throw new Error(`${rawDisk} has no "${QUIET}" in it.`);
  } finally {
    await file.close();
  }
}
