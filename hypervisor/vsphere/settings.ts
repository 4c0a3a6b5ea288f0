import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { schemaProblems } from '../../plan/schema-problems';
import { type Trust } from './vim/trust';

/** Where Linux lists disks by what they say of themselves (udev's 60-persistent-storage.rules). */
const DEVICE_DIRECTORY = '/dev/disk/by-id';

const text = z.string().min(1);

function isHttps(value: string): boolean {
  return URL.parse(value)?.protocol === 'https:';
}

function hasNoUser(value: string): boolean {
  const url = URL.parse(value);
  return url === null || (url.username === '' && url.password === '');
}

/** What a backup proxy is told of its vCenter; documented in docs/vsphere.md. */
const settingsSchema = z
  .strictObject({
    /** `https://vcenter`, with a port where wanted. */
    url: text.refine(isHttps, { error: 'must be the address of vCenter, https://…' }).refine(hasNoUser, {
      error: 'must not have a user or a password in it: it is shown in messages. Use credentials',
    }),
    /** A file with `user` and `password`; the environment's LIFEBOAT_VSPHERE_USER and _PASSWORD where absent. */
    credentials: text.optional(),
    /** File of CA certificates, PEM. */
    ca: text.optional(),
    /** Of vCenter's certificate: SHA-256 or SHA-1, hexadecimal. */
    thumbprint: text.optional(),
    /** Name or inventory path; may be absent where there is one only. */
    datacenter: text.optional(),
    /** Inventory path of the folder for new VMs, below the datacenter's `vm`; that folder itself where absent. */
    folder: text.optional(),
    /** Resource pool of new VMs, by name or inventory path. */
    pool: text.optional(),
    /** Datastore of new VMs, by name. */
    datastore: text.optional(),
    /** Names of networks at backup, to those that VMs get when they come home. */
    networks: z.record(text, text).default({}),
    devices: text.default(DEVICE_DIRECTORY),
    /** BIOS UUID of the VM that this host is; read from its firmware where absent. */
    proxy: z.uuid({ error: 'must be a UUID, as in uuid.bios of the VM’s .vmx' }).optional(),
    /** Bus number of the proxy's PVSCSI controller that is kept for disks of other VMs. */
    controller: z.coerce.number().int().min(0).max(3).optional(),
  })
  .refine(({ ca, thumbprint }) => ca === undefined || thumbprint === undefined, {
    path: ['thumbprint'],
    error: 'is one way to trust vCenter, and ca is the other; take one of them out',
  });

export type VsphereSettings = z.infer<typeof settingsSchema>;

const credentialsSchema = z.strictObject({ user: text, password: text });

/** Settings that cannot work; names each field. */
export class VsphereSettingsError extends Error {
  constructor(source: string, problems: string[]) {
    const all = problems.join('; ');
    super(`${source}: ${all}${/[?.]$/.test(all) ? '' : '.'}`);
    this.name = 'VsphereSettingsError';
  }
}

/**
 * Reads what follows `vsphere:` in LIFEBOAT_HYPERVISOR: the address of vCenter with the settings as its query
 * (`https://vcenter/?datacenter=DC1&networks.Old=New`), or the path of a YAML file.
 * @throws VsphereSettingsError
 */
export function readVsphereSettings(value: string): VsphereSettings {
  const isAddress = /^[a-z]+:\/\//i.test(value);
  const source = isAddress ? 'LIFEBOAT_HYPERVISOR' : value;
  return checked(source, settingsSchema, isAddress ? fromAddress(value) : fromFile(value));
}

/**
 * Who this proxy is to vCenter, asked anew at each login: a password may be changed while it runs.
 * @throws VsphereSettingsError from the call, and from each later one where the file has become unreadable
 */
export function credentialsOf(
  { credentials: file }: VsphereSettings,
  env: NodeJS.ProcessEnv = process.env,
): () => Promise<{ user: string; password: string }> {
  if (file !== undefined)
    return async () => checked(file, credentialsSchema, yaml(file, await readFile(file, 'utf8')));
  const { LIFEBOAT_VSPHERE_USER: user, LIFEBOAT_VSPHERE_PASSWORD: password } = env;
  if (!user || !password)
    throw new VsphereSettingsError('No credentials for vCenter', [
      'set credentials to a file with user and password, or LIFEBOAT_VSPHERE_USER and LIFEBOAT_VSPHERE_PASSWORD in the environment',
    ]);
  return () => Promise.resolve({ user, password });
}

export function trustOf({ ca, thumbprint }: VsphereSettings): Trust {
  if (ca !== undefined) return { ca };
  return thumbprint === undefined ? { system: true } : { thumbprint };
}

function fromAddress(value: string): unknown {
  const url = new URL(value);
  const fields: Record<string, unknown> = {};
  const networks: Record<string, string> = {};
  for (const [name, field] of url.searchParams)
    if (name.startsWith('networks.')) networks[name.slice('networks.'.length)] = field;
    else fields[name] = field;
  url.search = '';
  return { ...fields, networks, url: url.href };
}

function fromFile(path: string): unknown {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new VsphereSettingsError(path, [`cannot be read (${(error as Error).message})`]);
  }
  return yaml(path, content);
}

/** The value of a YAML text; an error does not repeat the text, which may hold a password. */
function yaml(path: string, content: string): unknown {
  try {
    return parse(content, { prettyErrors: false });
  } catch {
    throw new VsphereSettingsError(path, ['is no valid YAML']);
  }
}

function checked<T>(source: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Of a secret, only that it is missing or not what it should be may be told.
  const problems = schemaProblems(schema, value, parsed.error).map(({ path, message }) =>
    path.includes('password') ? 'password must be text' : `${path.join('.')} ${message}`.trim(),
  );
  throw new VsphereSettingsError(source, problems);
}
