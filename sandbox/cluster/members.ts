import { type SandboxConfig } from '../config';

/** A process of the Temporal server: one service, at a loopback address of its own, so that all have their usual ports. */
export interface Member {
  name: string;
  service: 'frontend' | 'history' | 'matching' | 'worker';
  address: string;
}

type Addressed = Pick<SandboxConfig, 'loopbackOctet'>;

/** Third byte of the cluster's loopback addresses; those of published VMs and of instances have others. */
const CLUSTER_SUBNET = 30;

/** Of each service that holds something or is asked by others, two, so that one can die. */
const MEMBERS: readonly (Omit<Member, 'address'> & { host: number })[] = [
  { name: 'temporal-frontend-1', service: 'frontend', host: 11 },
  { name: 'temporal-frontend-2', service: 'frontend', host: 12 },
  { name: 'temporal-history-1', service: 'history', host: 21 },
  { name: 'temporal-history-2', service: 'history', host: 22 },
  { name: 'temporal-matching', service: 'matching', host: 31 },
  { name: 'temporal-worker', service: 'worker', host: 41 },
];

const addressOf = ({ loopbackOctet }: Addressed, host: number): string =>
  `127.${loopbackOctet}.${CLUSTER_SUBNET}.${host}`;

/** The processes of the Temporal server. */
export const temporalMembers = (config: Addressed): Member[] =>
  MEMBERS.map(({ host, ...member }) => ({ ...member, address: addressOf(config, host) }));

/** Where PostgreSQL listens, at its usual port. */
export const postgresqlAddress = (config: Addressed): string => addressOf(config, 5);

/** `host:port` of each frontend; 7233 is Temporal's usual port. */
export const frontends = (config: Addressed): string[] =>
  temporalMembers(config)
    .filter(({ service }) => service === 'frontend')
    .map(({ address }) => `${address}:7233`);

/** The frontend that the n-th of some clients is told, so that each frontend has its share. */
export function frontendOf(config: Addressed, n: number): string {
  const all = frontends(config);
  return all[n % all.length] as string;
}
