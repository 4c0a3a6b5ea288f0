import { publish } from '../../machines/network/publish';
import { relaySocket } from '../../machines/network/segment';
import { type DatacenterSettings } from '../../hypervisor/local';

/** The one port that the data centre lets in from outside. */
const PUBLISHED_PORT = 80;

/**
 * Publishes the data centre's hosts: 127.N.10.x on the host is port 80 of the host x in its segment, whichever VM
 * has that address at the time. What addresses VMs have is their guests' business, so every one is published.
 * @throws the system's error when one cannot be listened on; none is published then
 */
export async function publishedAddresses(settings: DatacenterSettings): Promise<{ close(): Promise<void> }> {
  const { network, segment, loopbackOctet } = settings;
  const relay = relaySocket(network, segment.name);
  const prefix = segment.gateway.split('.').slice(0, 3).join('.');
  const published: { close(): Promise<void> }[] = [];
  const close = async () => {
    await Promise.all(published.map((one) => one.close()));
  };
  try {
    for (let host = 1; host < 255; host++) {
      const targetAddress = `${prefix}.${host}`;
      if (targetAddress === segment.gateway) continue;
      published.push(
        await publish({
          address: `127.${loopbackOctet}.10.${host}`,
          port: PUBLISHED_PORT,
          relaySocket: relay,
          targetAddress,
          targetPort: PUBLISHED_PORT,
        }),
      );
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}
