import { type Tag } from '@aws-sdk/client-ec2';
import { z } from 'zod';
import { type ControllerPlace, type DiskConfiguration } from '../../../hypervisor/port';
import { CONTROLLER_KINDS, CONTROLLERS_A_BUS } from '../../../machines/disk-place';
import { planNamePattern } from '../../../plan/names';
import { type RunContext } from '../../../plan/run';

/**
 * The tags by which Lifeboat finds its resources again: the only record at the recovery site. Anybody who may tag
 * in the account can write them, so whatever is read back is checked, and a half or odd set counts as not ours.
 */
export const TAG_PREFIX = 'lifeboat:';

/**
 * What a resource is for.
 * - `pending-copy`: a snapshot that a restore is writing; `dr-copy` as soon as its set is published.
 * - `pending-launch-copy`: a snapshot of a launch copy that is being made; `launch-copy` as soon as it is whole.
 * - `point-copy`: a snapshot of another recovery point than the DR copy's, for one failover or test failover.
 * - `launch-image`: the image that a failover launches a launch copy by.
 * - `copy-volume`: the volume of a restore the volume way.
 * - `recovery`, `test`: instance and volumes of a failover, or of a test failover.
 * - `shell`: the shell image, its snapshot, and the roots that instances launched from it begin with.
 * - `failback`: snapshots of recovered instances on their way home.
 * - `away-copy`: snapshots of recovered instances, made at the plan's frequency while it is failed over.
 */
export const ROLES = [
  'pending-copy',
  'dr-copy',
  'pending-launch-copy',
  'launch-copy',
  'point-copy',
  'launch-image',
  'copy-volume',
  'recovery',
  'test',
  'shell',
  'failback',
  'away-copy',
] as const;
export type Role = (typeof ROLES)[number];

/** Text of a tag that is an id of our own making: a backup, a run. No spaces, nothing that could end a line. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
const planName = z.string().regex(planNamePattern);

/** A number in its one decimal notation, as the builder writes it. */
const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,15})$/)
    .transform(Number)
    .pipe(z.number().int().min(minimum).max(maximum));

const yesOrNo = z.enum(['true', 'false']).transform((text) => text === 'true');

/** 64 TiB, the largest EBS volume (io2 Block Express; gp3's limit is lower or the same). */
const LARGEST_DISK_BYTES = 64 * 2 ** 40;

/** Every field with its tag key and the form of its value. */
const FIELDS = {
  plan: { key: 'plan', form: planName },
  vm: { key: 'vm', form: planName },
  disk: { key: 'disk', form: z.string().regex(/^[A-Za-z0-9-]{1,64}$/) },
  run: { key: 'run', form: id },
  role: { key: 'role', form: z.enum(ROLES) },
  /** On all that a test failover makes, whatever its role; missing on everything else. */
  mode: { key: 'mode', form: z.literal('test') },
  /** On instances of a test that is kept: ISO 8601, UTC, until when. */
  keepUntil: { key: 'keep-until', form: z.iso.datetime() },
  diskCount: { key: 'disk-count', form: wholeNumber(1, 64) },
  recoveryPoint: { key: 'recovery-point', form: id },
  takenAt: { key: 'taken-at', form: z.iso.datetime() },
  sizeBytes: {
    key: 'size-bytes',
    form: wholeNumber(512, LARGEST_DISK_BYTES).refine((bytes) => bytes % 512 === 0),
  },
  slot: { key: 'slot', form: wholeNumber(0, 255) },
  /** Kind and number, like `pvscsi:1`; missing on disks whose VM has but one controller, and on what was made before. */
  controller: {
    key: 'controller',
    form: z.string().regex(new RegExp(`^(${CONTROLLER_KINDS.join('|')}):[0-${CONTROLLERS_A_BUS - 1}]$`)),
  },
  boot: { key: 'boot', form: yesOrNo },
  attempt: { key: 'attempt', form: wholeNumber(0, 1_000_000) },
  /** SHA-256 (lower-case hex) of the block map that the snapshot holds. */
  blockMap: { key: 'block-map', form: z.string().regex(/^[0-9a-f]{64}$/) },
  /** SHA-256 (lower-case hex) of all that a launch copy was made of. */
  madeOf: { key: 'made-of', form: z.string().regex(/^[0-9a-f]{64}$/) },
  firmware: { key: 'firmware', form: z.enum(['bios', 'uefi']) },
  /** Whether the instance was launched to have a public address. */
  publicAddress: { key: 'public-address', form: yesOrNo },
  /** Which snapshot of failback: 1 while the instance served, 2 after it was stopped. */
  pass: { key: 'pass', form: wholeNumber(1, 2) },
  /** Names one CreateSnapshots call: a retry that does not know how the one before ended can make a second set. */
  set: { key: 'set', form: id },
  /** Id of the instance that a snapshot is of. */
  instance: { key: 'instance', form: id },
} as const;

export type TagField = keyof typeof FIELDS;
/** Tags that a resource may lack, as those of an earlier release do. A wrong one is no better than a wrong other. */
const OPTIONAL_FIELDS = ['controller', 'mode', 'keepUntil'] as const satisfies TagField[];
type OptionalField = (typeof OPTIONAL_FIELDS)[number];
type FormOutput<Field extends TagField> = z.output<(typeof FIELDS)[Field]['form']>;
export type TagValues = { [Field in Exclude<TagField, OptionalField>]: FormOutput<Field> } & {
  [Field in OptionalField]?: FormOutput<Field>;
};

/** The key that a field has on AWS, such as `lifeboat:plan`. */
export function tagKey(field: TagField): string {
  return TAG_PREFIX + FIELDS[field].key;
}

/** A tag set that cannot be right. The message names the resource, the tag and its text. */
export class BadTagsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadTagsError';
  }
}

/** The tags of the fields given. @throws BadTagsError where a value would not be read back */
export function tagList(values: Partial<TagValues>): { Key: string; Value: string }[] {
  return (Object.keys(values) as TagField[])
    .filter((field) => values[field] !== undefined)
    .map((field) => {
      const Value = String(values[field]);
      if (!FIELDS[field].form.safeParse(Value).success)
        throw new BadTagsError(`${tagKey(field)} cannot have the value ${JSON.stringify(Value)}.`);
      return { Key: tagKey(field), Value };
    });
}

/**
 * The tags of a resource that is made: a name for people, the plan's own, and Lifeboat's, which the plan cannot change. A plan may
 * name things otherwise.
 * @throws BadTagsError where a value would not be read back
 */
export function tagsOf(
  name: string | undefined,
  plansOwn: Readonly<Record<string, string>> | undefined,
  values: Partial<TagValues>,
): { Key: string; Value: string }[] {
  const forPeople = { ...(name === undefined ? {} : { Name: name }), ...plansOwn };
  return [
    // The plan's schema has refused these; what goes by them does not rely on that.
    ...Object.entries(forPeople)
      .filter(([key]) => !key.toLowerCase().startsWith(TAG_PREFIX))
      .map(([Key, Value]) => ({ Key, Value })),
    ...tagList(values),
  ];
}

/** Reads fields from a resource's tags. @returns undefined where one is missing or has no proper value: not ours */
export function readTags<Field extends TagField>(
  tags: Tag[] | undefined,
  fields: readonly Field[],
): Pick<TagValues, Field> | undefined {
  const read = tryFields(tags, fields);
  return read.ok ? read.values : undefined;
}

/**
 * Reads fields from the tags of a resource that has to have them.
 * @throws BadTagsError naming the resource and the tag
 */
export function requireTags<Field extends TagField>(
  resource: string,
  tags: Tag[] | undefined,
  fields: readonly Field[],
): Pick<TagValues, Field> {
  const read = tryFields(tags, fields);
  if (read.ok) return read.values;
  const text = read.text === undefined ? 'is missing' : `cannot be ${JSON.stringify(read.text.slice(0, 80))}`;
  throw new BadTagsError(`The tag ${tagKey(read.bad)} of ${resource} ${text}.`);
}

function tryFields<Field extends TagField>(
  tags: Tag[] | undefined,
  fields: readonly Field[],
): { ok: true; values: Pick<TagValues, Field> } | { ok: false; bad: Field; text: string | undefined } {
  const texts = new Map((tags ?? []).map(({ Key, Value }) => [Key, Value]));
  const values: Partial<TagValues> = {};
  for (const field of fields) {
    const text = texts.get(tagKey(field));
    if (text === undefined && (OPTIONAL_FIELDS as readonly TagField[]).includes(field)) continue;
    const parsed = FIELDS[field].form.safeParse(text);
    if (!parsed.success) return { ok: false, bad: field, text };
    Object.assign(values, { [field]: parsed.data });
  }
  return { ok: true, values: values as Pick<TagValues, Field> };
}

/** Filters of a Describe call that asks for exactly these tags. */
export function tagFilters(values: Partial<TagValues>): { Name: string; Values: string[] }[] {
  return tagList(values).map(({ Key, Value }) => ({ Name: `tag:${Key}`, Values: [Value] }));
}

/** Fields that carry a disk's configuration, on snapshots and on volumes. */
export const DISK_FIELDS = ['disk', 'sizeBytes', 'slot', 'controller', 'boot'] as const satisfies TagField[];

export function diskValues(disk: DiskConfiguration): Pick<TagValues, (typeof DISK_FIELDS)[number]> {
  const { key, sizeBytes, slot, controller, boot } = disk;
  return {
    disk: key,
    sizeBytes,
    slot,
    controller: controller && `${controller.kind}:${controller.bus}`,
    boot,
  };
}

export function diskOf(values: Pick<TagValues, (typeof DISK_FIELDS)[number]>): DiskConfiguration {
  const { disk: key, sizeBytes, slot, controller, boot } = values;
  return { key, sizeBytes, slot, ...(controller === undefined ? {} : controllerOf(controller)), boot };
}

/** @param text as the form of the tag has it */
function controllerOf(text: string): { controller: ControllerPlace } {
  const [kind, bus] = text.split(':');
  return { controller: { kind: kind as ControllerPlace['kind'], bus: Number(bus) } };
}

export function runValues(
  run: Pick<RunContext, 'plan' | 'runId' | 'test'>,
): Pick<TagValues, 'plan' | 'run' | 'mode'> {
  return { plan: run.plan, run: run.runId, ...(run.test === true ? { mode: 'test' } : {}) };
}

/** Fields of a snapshot of replication (`pending-copy` until its set is published, `dr-copy` from then on), or of a point's copy. */
export const COPY_SNAPSHOT_FIELDS = [
  'plan',
  'vm',
  'run',
  'role',
  ...DISK_FIELDS,
  'diskCount',
  'recoveryPoint',
  'takenAt',
  'attempt',
  'blockMap',
] as const satisfies TagField[];
/** Fields of a snapshot of a launch copy: a child of one of a DR copy's. */
export const LAUNCH_SNAPSHOT_FIELDS = [
  'plan',
  'vm',
  'run',
  'role',
  ...DISK_FIELDS,
  'diskCount',
  'recoveryPoint',
  'attempt',
  'madeOf',
] as const satisfies TagField[];
/** Fields of a volume made from a DR copy. */
export const RECOVERED_VOLUME_FIELDS = [
  'plan',
  'vm',
  'run',
  'role',
  ...DISK_FIELDS,
  'recoveryPoint',
  'attempt',
] as const satisfies TagField[];
/** Fields of an instance that a VM runs, or will run, on. */
export const INSTANCE_FIELDS = [
  'plan',
  'vm',
  'run',
  'role',
  'recoveryPoint',
  'attempt',
  'publicAddress',
] as const satisfies TagField[];
/** Fields of a snapshot of an instance while its plan is failed over. Which disk it is of is told as well where that is one of the VM's. */
export const AWAY_SNAPSHOT_FIELDS = [
  'plan',
  'vm',
  'run',
  'role',
  'instance',
  'diskCount',
  'takenAt',
  'set',
] as const satisfies TagField[];

/** A DR copy's (or pending copy's) snapshot, as its tags tell it. @returns undefined for any other snapshot */
export const readCopySnapshot = (tags: Tag[] | undefined) =>
  readAs(tags, COPY_SNAPSHOT_FIELDS, ['dr-copy', 'pending-copy']);

/** A snapshot of a recovery point that was chosen, as its tags tell it. @returns undefined for any other snapshot */
export const readPointSnapshot = (tags: Tag[] | undefined) =>
  readAs(tags, COPY_SNAPSHOT_FIELDS, ['point-copy']);

/** A launch copy's snapshot, or one that is to become it. @returns undefined for any other snapshot */
export const readLaunchSnapshot = (tags: Tag[] | undefined) =>
  readAs(tags, LAUNCH_SNAPSHOT_FIELDS, ['launch-copy', 'pending-launch-copy']);

/** A snapshot of an instance while its plan is failed over. @returns undefined for any other snapshot */
export const readAwaySnapshot = (tags: Tag[] | undefined) =>
  readAs(tags, AWAY_SNAPSHOT_FIELDS, ['away-copy']);

/** A volume of a failover or test. @returns undefined for any other volume */
export const readRecoveredVolume = (tags: Tag[] | undefined) =>
  readAs(tags, RECOVERED_VOLUME_FIELDS, ['recovery', 'test']);

/** An instance of a failover or test. @returns undefined for any other instance */
export const readInstance = (tags: Tag[] | undefined) => readAs(tags, INSTANCE_FIELDS, ['recovery', 'test']);

/** The fields of a resource that is there for one of these. @returns undefined for any other resource */
function readAs<Field extends TagField>(
  tags: Tag[] | undefined,
  fields: readonly (Field | 'role')[],
  roles: readonly Role[],
): Pick<TagValues, Field | 'role'> | undefined {
  const values = readTags(tags, fields);
  return values !== undefined && roles.includes(values.role) ? values : undefined;
}
