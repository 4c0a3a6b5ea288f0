import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const root = path.resolve(__dirname, '../..');
const file = path.join(root, 'docker-compose.temporal.yml');
const text = readFileSync(file, 'utf8');

const condition = z.enum(['service_started', 'service_healthy', 'service_completed_successfully']);
const service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition })).default({}),
  environment: z.record(z.string(), z.string()).default({}),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  configs: z.array(z.strictObject({ source: z.string(), target: z.string() })).default([]),
  secrets: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  healthcheck: z
    .strictObject({
      test: z.tuple([z.enum(['CMD', 'CMD-SHELL'])], z.string()),
      interval: z.string(),
      timeout: z.string(),
      start_period: z.string().optional(),
      retries: z.number().int().positive(),
    })
    .optional(),
  restart: z.string(),
  init: z.boolean().optional(),
  stop_grace_period: z.string().optional(),
  user: z.string().optional(),
  privileged: z.boolean().optional(),
  read_only: z.boolean().default(false),
  tmpfs: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  cap_drop: z.array(z.string()).default([]),
  cap_add: z.array(z.string()).default([]),
});
const composeSchema = z.object({
  name: z.string(),
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.null()),
  configs: z.record(z.string(), z.strictObject({ file: z.string() })),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
  networks: z.record(z.string(), z.strictObject({ internal: z.boolean() }).nullable()),
});

const compose = composeSchema.parse(parse(text, { merge: true }));
const services = Object.entries(compose.services);
const WORKERS = ['control', 'aws-proxy', 'backup-proxy'];
/** Services that do one thing and end. */
const ONE_OFF = ['temporal-schema', 'temporal-namespace'];

describe('docker-compose.temporal.yml', () => {
  it('has the server on PostgreSQL, its schema and namespace, the UI, and the three workers', () => {
    expect(Object.keys(compose.services).sort()).toEqual(
      ['postgresql', 'temporal', 'temporal-ui', ...ONE_OFF, ...WORKERS].sort(),
    );
    expect(compose.services.temporal?.environment).toMatchObject({
      DB: 'postgres12',
      POSTGRES_SEEDS: 'postgresql',
    });
  });

  it.each(services)('%s waits for services that exist, for what they can give', (_name, { depends_on }) => {
    for (const [other, { condition: wanted }] of Object.entries(depends_on)) {
      const dependency = compose.services[other];
      expect({ other, exists: dependency !== undefined }).toEqual({ other, exists: true });
      if (wanted === 'service_healthy') expect(dependency?.healthcheck).toBeDefined();
      expect(wanted === 'service_completed_successfully').toBe(ONE_OFF.includes(other));
    }
  });

  it('has no circle of dependencies', () => {
    const chain = (name: string, above: string[]): void => {
      expect(above).not.toContain(name);
      for (const other of Object.keys(compose.services[name]?.depends_on ?? {}))
        chain(other, [...above, name]);
    };
    for (const [name] of services) chain(name, []);
  });

  it.each(services)(
    '%s is checked and started again, or ends by itself',
    (name, { healthcheck, restart }) => {
      if (ONE_OFF.includes(name)) expect(restart).toMatch(/^on-failure:\d+$/);
      else
        expect({ checked: healthcheck !== undefined, restart }).toEqual({
          checked: true,
          restart: 'unless-stopped',
        });
    },
  );

  it.each(services)('%s opens ports to this machine only', (_name, { ports }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$/);
  });

  it('opens the server and the UI, and nothing else', () => {
    expect(services.filter(([, { ports }]) => ports.length > 0).map(([name]) => name)).toEqual([
      'temporal',
      'temporal-ui',
    ]);
  });

  it.each(services)('%s has its image pinned by a variable with a default', (_name, { image }) => {
    expect(image).toMatch(/^[a-z/-]+:\$\{[A-Z_]+_VERSION:-[\w.]+\}$/);
  });

  it('keeps the database in a named volume, and uses every volume and config that it names', () => {
    expect(compose.services.postgresql?.volumes).toEqual(['temporal-data:/var/lib/postgresql/data']);
    const used = services.flatMap(([, { volumes }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
    const named = used.filter((source) => /^[a-z]/.test(source));
    expect([...new Set(named)].sort()).toEqual(Object.keys(compose.volumes).sort());
    const configs = services.flatMap(([, service]) => service.configs.map(({ source }) => source));
    expect(configs).toEqual(Object.keys(compose.configs));
  });

  it('has no secret in it, and no password by default', () => {
    const secrets = services.flatMap(([name, { environment }]) =>
      Object.entries(environment)
        .filter(([key]) => /PASSWORD|PWD|SECRET|TOKEN|ACCESS_KEY/.test(key))
        .map(([key, value]) => ({ at: `${name}.${key}`, value })),
    );
    expect(secrets.length).toBeGreaterThanOrEqual(10);
    for (const { at, value } of secrets)
      expect({ at, value }).toEqual({
        at,
        value: expect.stringMatching(/^\$\{AWS_[A-Z_]+:-\}$|^\/run\/secrets\/postgresql-password$/) as string,
      });
    expect(text).not.toMatch(/\$\{POSTGRES_PASSWORD[:}-]/);
  });

  it("gives the database's password as a file, to who needs it, and to nobody's environment", () => {
    expect(compose.secrets).toEqual({
      'postgresql-password': {
        file: expect.stringMatching(/^\$\{POSTGRES_PASSWORD_FILE:\?[^}]+\}$/) as string,
      },
    });
    const given = services.filter(([, { secrets }]) => secrets.length > 0).map(([name]) => name);
    expect(given).toEqual(['postgresql', 'temporal-schema', 'temporal']);
    expect(compose.services.postgresql?.environment.POSTGRES_PASSWORD_FILE).toBe(
      '/run/secrets/postgresql-password',
    );
    // By the shell, where a program takes a variable only.
    for (const [name, variable] of [
      ['temporal-schema', 'SQL_PASSWORD'],
      ['temporal', 'POSTGRES_PWD'],
    ] as const) {
      const { entrypoint, command, environment = {} } = compose.services[name] ?? {};
      expect(environment[variable]).toBeUndefined();
      expect(entrypoint).toEqual(['/bin/sh', '-euc']);
      expect(command?.[0]).toContain(
        `${variable}="$$(cat /run/secrets/postgresql-password)"\nexport ${variable}\n`,
      );
    }
  });

  it('keeps the database in a network of its own, which leads nowhere', () => {
    expect(compose.networks).toEqual({ database: { internal: true }, temporal: null });
    const inside = services.filter(([, { networks }]) => networks.includes('database')).map(([name]) => name);
    expect(inside).toEqual(['postgresql', 'temporal-schema', 'temporal']);
    for (const [name, { networks }] of services)
      expect({ name, some: networks.length > 0 }).toEqual({ name, some: true });
    // A container of two networks has two addresses: which one it tells others must not be left to chance.
    expect(compose.services.temporal?.environment.TEMPORAL_BROADCAST_ADDRESS).toBe('127.0.0.1');
  });

  /** What a service has beyond the bounds, each with its reason in the file. */
  const MORE: Record<string, string[]> = {
    'temporal-ui': ['writes', 'DAC_OVERRIDE'],
    'aws-proxy': ['privileged'],
    'backup-proxy': ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETPCAP', 'SETUID'],
  };

  it.each(services)(
    '%s gains no privilege, writes nowhere but where it must, and has no capability',
    (name, service) => {
      expect(service.security_opt).toEqual(['no-new-privileges:true']);
      expect(service.cap_drop).toEqual(['ALL']);
      expect([
        ...(service.read_only ? [] : ['writes']),
        ...(service.privileged === true ? ['privileged'] : []),
        ...service.cap_add,
      ]).toEqual(MORE[name] ?? []);
      const places = [...service.tmpfs, ...service.volumes.map((volume) => volume.split(':')[1])];
      if (service.read_only) expect(places).toContain('/tmp');
      // In memory; guests' boot files are on disk.
      if (/proxy/.test(name)) expect(service.tmpfs).toEqual([]);
    },
  );

  it('copies nothing into a container, which a read-only root file system refuses', () => {
    for (const { file } of Object.values(compose.configs))
      expect(existsSync(path.join(root, file))).toBe(true);
  });

  it.each(WORKERS)('the worker %s runs its role with what every worker needs', (role) => {
    const worker = compose.services[role];
    expect(worker?.command).toEqual([role]);
    expect(existsSync(path.join(root, worker?.build?.dockerfile ?? 'none'))).toBe(true);
    expect(Object.keys(worker?.environment ?? {})).toEqual(
      expect.arrayContaining([
        'TEMPORAL_ADDRESS',
        'TEMPORAL_NAMESPACE',
        'AWS_REGION',
        'LIFEBOAT_REPOSITORY',
      ]) as string[],
    );
    expect(worker?.volumes).toContain(`${role}-state:/var/lib/lifeboat`);
  });

  // `go install github.com/compose-spec/compose-go/v2/cmd@latest` builds the reference reader of the specification.
  const checker = process.env.COMPOSE_SPEC_BIN;
  (checker === undefined ? it.skip : it)('is read by the compose specification (COMPOSE_SPEC_BIN)', () => {
    // Its command line knows no environment, so the variables are filled in here.
    const filled = text.replace(
      /\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}/g,
      (_all, name: string, fallback?: string) =>
        name === 'LIFEBOAT_HYPERVISOR' ? 'local:/vms' : (fallback ?? 'given'),
    );
    const directory = mkdtempSync(path.join(tmpdir(), 'lifeboat-compose-'));
    const copy = path.join(directory, 'compose.yml');
    writeFileSync(copy, filled);
    const read = execFileSync(checker ?? '', [copy], { encoding: 'utf8', cwd: directory });
    rmSync(directory, { recursive: true });
    for (const [name] of services) expect(read).toContain(`${name}:`);
  });
});
