import { writeFile } from 'node:fs/promises';
import { namespaceName, removeSegment } from '../../machines/network/segment';
import { toolOutput } from '../../host/run-tool';
import { exists } from '../../host/if-exists';
import { type SandboxConfig } from '../config';

/**
 * The data centre's own network: a namespace that its backup proxies run in, and one wire from there to everything else. This host's
 * loopback addresses, at which AWS and Temporal are, lead over that wire in there, so that nothing has to be told other
 * addresses; and when it is cut, the whole site is cut off from both.
 */

const SITE = 'site';
/** The wire's end in the namespace. */
const UPLINK = 'up0';

type Sited = Pick<SandboxConfig, 'network' | 'loopbackOctet'>;

export const siteNamespace = ({ network }: Sited): string => namespaceName(network, SITE);
/** 15 bytes at most. */
const wire = ({ network }: Sited): string => `lbs${network.id}`;

/** Makes what is missing of it. */
export async function ensureSiteLink(config: Sited): Promise<void> {
  const namespace = siteNamespace(config);
  // Whole, or made anew: after a reboot nothing of it is there.
  if (await exists(`/run/netns/${namespace}`)) return;
  // Link-local addresses of a wire that nobody else is on.
  const [here, there] = [1, 2].map((host) => `169.254.${config.loopbackOctet}.${host}`) as [string, string];
  const inside = (...args: string[]): Promise<string> => toolOutput('ip', ['-n', namespace, ...args]);
  await toolOutput('ip', ['netns', 'add', namespace]);
  try {
    await toolOutput('ip', [
      'link',
      'add',
      wire(config),
      'type',
      'veth',
      'peer',
      'name',
      UPLINK,
      'netns',
      namespace,
    ]);
    await toolOutput('ip', ['addr', 'add', `${here}/30`, 'dev', wire(config)]);
    await toolOutput('ip', ['link', 'set', wire(config), 'up']);
    await writeFile(routeLocalnet(wire(config)), '1');
    await inside('link', 'set', 'lo', 'up');
    await inside('addr', 'del', '127.0.0.1/8', 'dev', 'lo');
    await inside('addr', 'add', `${there}/30`, 'dev', UPLINK);
    await inside('link', 'set', UPLINK, 'up');
    await toolOutput('nsenter', [`--net=/run/netns/${namespace}`, 'tee', routeLocalnet(UPLINK)], {
      input: Buffer.from('1'),
    });
    await inside('route', 'add', '127.0.0.0/8', 'via', here, 'dev', UPLINK, 'src', there);
  } catch (error) {
    await removeSiteLink(config);
    throw error;
  }
}

/** Loopback addresses are martian on any other interface, unless this is set (Linux, networking/ip-sysctl). */
const routeLocalnet = (device: string): string => `/proc/sys/net/ipv4/conf/${device}/route_localnet`;

/** From now on nothing gets to the site or from there; whoever waits for an answer gets none. */
export const cutSite = (config: Sited): Promise<unknown> =>
  toolOutput('ip', ['link', 'set', wire(config), 'down']);

/** The wire is whole again. */
export const joinSite = (config: Sited): Promise<unknown> =>
  toolOutput('ip', ['link', 'set', wire(config), 'up']);

/** Ends what is left in there, and removes the namespace with the wire. */
export const removeSiteLink = ({ network }: Sited): Promise<void> => removeSegment(network, SITE);
