import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { runCli } from '../../cli/program';
import { projectRoot } from '../../host/project-root';
import { lifeboatCommit, lifeboatVersion } from '../../host/version';
import { testIo } from './cli-io';

const run = promisify(execFile);

/** A package of the lock file. */
interface Locked {
  version?: string;
  integrity?: string;
  license?: string;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

const root = projectRoot();
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};
const locked = Object.entries(packages).filter(([path]) => path !== '');
/** What an installed package brings. */
const installed = locked.filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true);
const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), 'lifeboat-release-'))));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the lock file', () => {
  /** Whether Node would find a package from another one's folder. */
  function isFound(from: string, name: string): boolean {
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
      if (packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`] !== undefined) return true;
      if (at === '') return false;
    }
  }

  it('has every package that one of its packages needs, on whatever platform', () => {
    const missing = Object.entries(packages).flatMap(([path, one]) => {
      const peers = Object.keys(one.peerDependencies ?? {}).filter(
        (name) => one.peerDependenciesMeta?.[name]?.optional !== true,
      );
      const needed = [one.dependencies, one.optionalDependencies].flatMap((all) => Object.keys(all ?? {}));
      return [...needed, ...peers].filter((name) => !isFound(path, name)).map((name) => `${path}: ${name}`);
    });
    expect(missing).toEqual([]);
    expect(locked.length).toBeGreaterThan(500);
  });

  it('leaves out no optional package that an installed one names: a registry that lacks some has npm drop them', () => {
    const dropped = locked.flatMap(([path, { optionalDependencies = {}, optional }]) => {
      let manifest: Locked;
      try {
        manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as Locked;
      } catch (error) {
        // Of another platform.
        if (optional === true) return [];
        throw error;
      }
      return Object.keys(manifest.optionalDependencies ?? {})
        .filter((name) => optionalDependencies[name] === undefined)
        .map((name) => `${path}: ${name}`);
    });
    expect(dropped).toEqual([]);
  });

  it('has a checksum of every package, and native parts for every platform', () => {
    expect(locked.filter(([, { integrity }]) => integrity === undefined).map(([path]) => path)).toEqual([]);
    const platforms = [
      ...['linux x64 glibc', 'linux arm64 glibc', 'linux x64 musl', 'linux arm64 musl'],
      ...['darwin x64', 'darwin arm64', 'win32 x64', 'win32 arm64'],
    ];
    for (const family of ['@swc/core-', '@unrs/resolver-binding-']) {
      const parts = locked.filter(([path]) => nameOf(path).startsWith(family)).map(([, one]) => one);
      for (const platform of platforms) {
        const [os = '', cpu = '', libc] = platform.split(' ');
        const fitting = parts.filter(
          (one) =>
            one.os?.includes(os) === true &&
            one.cpu?.includes(cpu) === true &&
            (libc === undefined || one.libc === undefined || one.libc.includes(libc)),
        );
        expect({ family, platform, parts: fitting.length > 0 }).toEqual({ family, platform, parts: true });
      }
    }
  });

  it('brings packages of licences that may be passed on with Lifeboat', () => {
    const taken = [
      'Apache-2.0',
      'MIT',
      'ISC',
      'BSD-2-Clause',
      'BSD-3-Clause',
      '0BSD',
      'Unlicense',
      'BlueOak-1.0.0',
    ];
    const others = installed
      .filter(([, { license = 'none' }]) => !license.split(' AND ').every((one) => taken.includes(one)))
      .map(([path, { license = 'none' }]) => `${nameOf(path)}: ${license}`);
    // The first is data of what browsers can do; the second's LICENSE is the Unlicense, and its package.json says nothing.
    expect(others).toEqual(['caniuse-lite: CC-BY-4.0', 'unionfs: none']);
  });
});

/** What CycloneDX 1.5 wants of the parts that npm writes (bom-1.5.schema.json). */
const license = z.union([
  z.strictObject({
    license: z.union([z.strictObject({ id: z.string() }), z.strictObject({ name: z.string() })]),
  }),
  z.strictObject({ expression: z.string() }),
]);
const component = z.object({
  'bom-ref': z.string().min(1),
  type: z.enum(['application', 'library']),
  name: z.string().min(1),
  version: z.string().min(1),
  scope: z.enum(['required', 'optional', 'excluded']),
  purl: z.string().startsWith('pkg:npm/'),
  hashes: z
    .array(
      z.strictObject({
        alg: z.enum(['SHA-1', 'SHA-512']),
        content: z.string().regex(/^([a-f0-9]{40}|[a-f0-9]{128})$/),
      }),
    )
    .optional(),
  licenses: z.array(license).optional(),
});
const bom = z.object({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.5'),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  version: z.number().int().min(1),
  metadata: z.object({ timestamp: z.iso.datetime(), component }),
  components: z.array(component),
  dependencies: z.array(z.strictObject({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

it('the bill of materials has every package that is installed with Lifeboat, and no other', async () => {
  const file = join(directory, 'bom.json');
  await run(process.execPath, [join(root, 'setup/sbom.mjs'), file]);
  const { metadata, components, dependencies } = bom.parse(JSON.parse(readFileSync(file, 'utf8')));
  expect(metadata.component).toMatchObject({
    name: 'lifeboat',
    version: lifeboatVersion(),
    type: 'application',
  });
  const listed = new Set(components.map(({ name, version }) => `${name}@${version}`));
  expect([...listed].sort()).toEqual(
    [...new Set(installed.map(([path, { version = '' }]) => `${nameOf(path)}@${version}`))].sort(),
  );
  expect(listed.size).toBeGreaterThan(200);
  expect(components.filter(({ hashes }) => hashes === undefined)).toEqual([]);
  const refs = new Set([metadata.component, ...components].map((one) => one['bom-ref']));
  const unknown = dependencies
    .flatMap(({ ref, dependsOn }) => [ref, ...dependsOn])
    .filter((ref) => !refs.has(ref));
  expect(unknown).toEqual([]);
});

describe('a release', () => {
  /** What is in the way of one. */
  async function problems(changelog: string, version = '1.2.0'): Promise<string[]> {
    writeFileSync(join(directory, 'package.json'), JSON.stringify({ version }));
    writeFileSync(join(directory, 'CHANGELOG.md'), `# Changelog\n\nWords.\n\n${changelog}`);
    const argv = [join(root, 'setup/release.mjs'), 'check', directory];
    const { code, stdout } = await run(process.execPath, argv).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    expect(code).toBe(stdout === '' ? 0 : 1);
    return stdout.split('\n').filter((line) => line !== '');
  }

  it.each([
    ['## [1.2.0] - 2026-12-01\n\n- New.\n\n## [1.1.0] - 2026-11-01\n\n- Old.\n', []],
    ['## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n- New.\n', []],
    [
      '## [Unreleased]\n\n- More.\n\n## [1.2.0] - 2026-12-01\n\n- New.\n',
      [expect.stringContaining('in no version')],
    ],
    [
      '## [1.1.0] - 2026-11-01\n\n- Old.\n',
      ['The newest version of CHANGELOG.md is 1.1.0, and that of package.json 1.2.0.'],
    ],
    ['## [1.2.0]\n\n- New.\n', [expect.stringContaining('its date')]],
  ])('has a version that says what changed: %j', async (changelog, expected) => {
    expect(await problems(changelog)).toEqual(expected);
  });

  it('is the newest of the changelog, or is being made', () => {
    const [, ...sections] = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split(/^## /m);
    const [, newest] = /^\[(\d[^\]]*)\]/.exec(sections[1] ?? '') ?? [];
    if (newest === undefined) expect(sections[0]).toContain(`${lifeboatVersion()} is being made`);
    else expect(newest).toBe(lifeboatVersion());
  });

  it('says of which commit it is, where somebody has said it', async () => {
    expect(lifeboatCommit(directory)).toBeUndefined();
    mkdirSync(join(directory, 'dist'));
    writeFileSync(join(directory, 'dist', 'COMMIT'), '0123abc\n');
    expect(lifeboatCommit(directory)).toBe('0123abc');
    const world = testIo({}, directory);
    expect(await runCli(['version', '--json'], world.io)).toBe(0);
    expect(world.json).toMatchObject({
      command: 'version',
      ok: true,
      version: lifeboatVersion(),
      node: process.version,
    });
    const shown = testIo({}, directory);
    expect(await runCli(['--version'], shown.io)).toBe(0);
    expect(shown.out.startsWith((world.json as { build: string }).build)).toBe(true);
  });
});
