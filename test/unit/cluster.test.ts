import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { frontendOf, frontends, postgresqlAddress, temporalMembers } from '../../sandbox/cluster/members';
import { DATABASE_USER, MAX_CONNECTIONS } from '../../sandbox/cluster/postgresql';
import {
  DATABASES,
  DYNAMIC_CONFIGURATION,
  RETENTION_HOURS,
  schemaOf,
  serverEnvironment,
  SQL_PLUGIN,
} from '../../sandbox/cluster/temporal';
import { workersOf } from '../../sandbox/cluster/workers';
import { type SandboxConfig } from '../../sandbox/config';
import { TEMPORAL_NAMESPACE, workerEnvironment } from '../../sandbox/supervisor/processes';

const root = path.resolve(__dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

interface Service {
  image: string;
  environment?: Record<string, string>;
  command?: string[];
}
const compose = parse(read('docker-compose.temporal.yml'), { merge: true }) as {
  services: Record<string, Service>;
  configs: Record<string, { file: string }>;
};
const service = (name: string): Service => compose.services[name] ?? { image: 'none' };
/** The image's version, unless somebody asks for another. */
const version = (name: string): string | undefined => /:-([\w.]+)\}$/.exec(service(name).image)?.[1];
/** A script's lines, as the shell gets them. */
const script = (name: string): string[] =>
  (service(name).command?.[0] ?? '').split('\n').map((line) => line.trim().replaceAll('$$', '$'));

const config: SandboxConfig = {
  ...{ directory: '/sandbox', network: { id: 'abc123', runDirectory: '/run/lifeboat-abc123' } },
  ...{ loopbackOctet: 77, region: 'eu-central-1', accessKeyId: 'id', secretAccessKey: 'secret' },
  ports: { aws: 1, dns: 2, temporal: 3, ui: 4 },
  ...{ runner: 'no-boot', application: 'none', cluster: true },
};

describe('docker-compose.temporal.yml and `npm run cluster`', () => {
  it('run the same version of the Temporal server and of its tools', () => {
    const [, built] = /^\s*go\.temporal\.io\/server v(\S+)/m.exec(read('setup/cluster/go.mod')) ?? [];
    expect(built).toMatch(/^\d+\.\d+\.\d+$/);
    for (const name of ['temporal', 'temporal-schema', 'temporal-namespace'])
      expect([name, version(name)]).toEqual([name, built]);
  });

  it('run the same version of PostgreSQL, with the same settings', () => {
    const { postgresql } = JSON.parse(read('setup/cluster/versions.json')) as { postgresql: string };
    expect(version('postgresql')).toBe(postgresql);
    expect(service('postgresql').environment?.POSTGRES_USER).toBe(DATABASE_USER);
    expect(service('postgresql').command).toEqual(['postgres', '-c', `max_connections=${MAX_CONNECTIONS}`]);
  });

  it('tell the server the same', () => {
    const theirs = service('temporal').environment ?? {};
    for (const member of temporalMembers(config)) {
      const ours = serverEnvironment(config, member);
      expect(Object.keys(ours).sort()).toEqual(
        // The password, which the container's shell reads from a file, and how much is logged.
        [...Object.keys(theirs), 'POSTGRES_PWD', 'LOG_LEVEL'].sort(),
      );
      for (const name of ['DB', 'DB_PORT', 'POSTGRES_USER', 'NUM_HISTORY_SHARDS'])
        expect([name, ours[name]]).toEqual([name, theirs[name]]);
    }
    expect(parse(DYNAMIC_CONFIGURATION)).toEqual(
      parse(read(compose.configs['temporal-dynamic-config']?.file ?? 'none')),
    );
  });

  it('make the same databases with the same schemas', () => {
    const { environment } = service('temporal-schema');
    expect(environment).toMatchObject({ SQL_PLUGIN, SQL_USER: DATABASE_USER });
    const lines = script('temporal-schema');
    const made = lines.flatMap((line) => {
      const [, db, schema] = /^prepare (\w+) (\w+)$/.exec(line) ?? [];
      return db === undefined ? [] : [[db, schema]];
    });
    expect(made).toEqual(Object.entries(DATABASES));
    const steps = lines.flatMap((line) =>
      line.startsWith('temporal-sql-tool') ? [line.split(' || ')[0]] : [],
    );
    expect(steps).toEqual([
      'temporal-sql-tool --db "$1" create',
      'temporal-sql-tool --db "$1" setup-schema -v 0.0',
      `temporal-sql-tool --db "$1" update-schema --schema-name "${schemaOf('$2')}"`,
    ]);
  });

  it('make the same namespace', () => {
    expect(service('temporal-namespace').environment?.NAMESPACE).toBe(
      `\${TEMPORAL_NAMESPACE:-${TEMPORAL_NAMESPACE}}`,
    );
    expect(script('temporal-namespace').join('\n')).toContain(`--retention ${RETENTION_HOURS}h`);
  });

  it('run the same roles', () => {
    const roles = new Set(workersOf(config).map(({ role }) => role));
    for (const role of roles) expect(service(role).command).toEqual([role]);
    const workers = Object.keys(compose.services).filter((name) => /control|proxy/.test(name));
    expect([...roles].sort()).toEqual(workers.sort());
  });
});

describe('a cluster', () => {
  it('has an address for each of its processes, and names that nothing else of a sandbox has', () => {
    const members = temporalMembers(config);
    const addresses = [...members.map(({ address }) => address), postgresqlAddress(config)];
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const address of addresses) expect(address).toMatch(/^127\.77\.30\.\d+$/);
    const names = [...members, ...workersOf(config)].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const of = (wanted: string): number => members.filter((one) => one.service === wanted).length;
    expect([of('frontend'), of('history'), of('matching'), of('worker')]).toEqual([2, 2, 1, 1]);
  });

  it('leads clients to either frontend', () => {
    expect(frontends(config)).toEqual(['127.77.30.11:7233', '127.77.30.12:7233']);
    expect([0, 1, 2].map((n) => frontendOf(config, n))).toEqual([
      '127.77.30.11:7233',
      '127.77.30.12:7233',
      '127.77.30.11:7233',
    ]);
    expect(workerEnvironment(config).TEMPORAL_ADDRESS).toBe('127.77.30.11:7233');
    expect(workerEnvironment({ ...config, cluster: false }).TEMPORAL_ADDRESS).toBe('127.0.0.1:3');
  });

  it('has several workers of each role, and a plain sandbox one', () => {
    expect(workersOf({ cluster: true }).map(({ name }) => name)).toEqual([
      ...['worker-control-1', 'worker-control-2'],
      ...['worker-aws-proxy-1', 'worker-aws-proxy-2', 'worker-aws-proxy-3'],
      ...['worker-backup-proxy-1', 'worker-backup-proxy-2'],
    ]);
    expect(workersOf({}).map(({ name }) => name)).toEqual([
      ...['worker-control', 'worker-aws-proxy', 'worker-backup-proxy'],
    ]);
  });
});
