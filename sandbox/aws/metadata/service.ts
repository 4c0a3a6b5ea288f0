import { mkdir, rm } from 'node:fs/promises';
import { type Server } from 'node:net';
import { dirname } from 'node:path';
import { metadataSocket } from '../../../machines/network/segment';
import { type Account } from '../account';
import { tokenSigner } from '../ebs/read-tokens';
import { placeOf, privateDnsName } from '../ec2/instances/instance-view';
import { derivedMac } from '../state/ids';
import { type InstanceRecord } from '../state/records';
import { createProxiedServer } from './proxied';
import { createMetadataServer, type InstanceMetadata } from './server';

/** Answers instances on the metadata address of each segment, through the segments' metadata proxies. */
export async function startMetadataService(account: Account): Promise<{ close(): Promise<void> }> {
  const { fixtures, network, secretAccessKey } = account.config;
  const tokens = tokenSigner(`metadata of ${secretAccessKey}`);
  const closings: (() => Promise<void>)[] = [];
  for (const segment of new Set(fixtures.subnets.map((subnet) => subnet.segment))) {
    const http = createMetadataServer((socket) => {
      const instance = instanceAt(account, segment, sourceOf(socket));
      return instance && metadataOf(account, instance);
    }, tokens);
    const { server, sourceOf } = createProxiedServer(http);
    await listen(server, metadataSocket(network, segment));
    closings.push(async () => {
      const closed = new Promise<void>((ended) => server.close(() => ended()));
      http.closeAllConnections();
      await closed;
    });
  }
  return { close: async () => void (await Promise.all(closings.map((close) => close()))) };
}

/** A socket that is there is a killed endpoint's. */
async function listen(server: Server, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await new Promise<void>((listening, reject) => {
    server.once('error', reject);
    server.listen(path, listening);
  });
}

function instanceAt(
  account: Account,
  segment: string,
  address: string | undefined,
): InstanceRecord | undefined {
  const subnets = account.config.fixtures.subnets.filter((subnet) => subnet.segment === segment);
  return account.instances
    .all()
    .find(
      ({ privateAddress, secondaryAddresses = [], subnetId, state, host }) =>
        address !== undefined &&
        [privateAddress, ...secondaryAddresses].includes(address) &&
        state !== 'terminated' &&
        !host &&
        subnets.some(({ id }) => id === subnetId),
    );
}

function metadataOf(account: Account, instance: InstanceRecord): InstanceMetadata {
  const { httpEndpoint = 'enabled', httpTokens = 'optional' } = instance.metadataOptions ?? {};
  const mac = derivedMac(instance.id);
  const addresses = [instance.privateAddress, ...(instance.secondaryAddresses ?? [])];
  return {
    instanceId: instance.id,
    options: { enabled: httpEndpoint === 'enabled', tokens: httpTokens },
    userData: instance.userData === undefined ? undefined : Buffer.from(instance.userData, 'base64'),
    values: {
      'ami-id': instance.imageId,
      'instance-id': instance.id,
      'instance-type': instance.instanceType,
      'local-hostname': privateDnsName(account, instance.privateAddress),
      'local-ipv4': instance.privateAddress,
      mac,
      [`network/interfaces/macs/${mac}/local-ipv4s`]: addresses.join('\n'),
      'placement/availability-zone': placeOf(account, instance).availabilityZone,
      'placement/region': account.config.region,
    },
  };
}
