/** How an EBS volume is made of a disk. What is absent is as EC2 takes it; the type is gp3 then. */
export interface VolumeSettings {
  volumeType?: VolumeTypeName;
  iops?: number;
  /** MiB/s. */
  throughput?: number;
  /** MiB/s at which EC2 loads the snapshot's blocks into the volume. */
  volumeInitializationRate?: number;
}

interface VolumeType {
  smallestGiB: number;
  largestGiB: number;
  iops?: { least: number; most: number; perGiB: number; required: boolean };
  /** Whether an instance can boot from it. */
  boots: boolean;
}

/** The types that a plan may name. "EBS volume types", Amazon EBS User Guide, and CreateVolume of the EC2 API Reference. */
const VOLUME_TYPES = {
  gp3: {
    smallestGiB: 1,
    largestGiB: 65_536,
    iops: { least: 3000, most: 80_000, perGiB: 500, required: false },
    boots: true,
  },
  gp2: { smallestGiB: 1, largestGiB: 16_384, boots: true },
  io1: {
    smallestGiB: 4,
    largestGiB: 16_384,
    iops: { least: 100, most: 64_000, perGiB: 50, required: true },
    boots: true,
  },
  io2: {
    smallestGiB: 4,
    largestGiB: 65_536,
    iops: { least: 100, most: 256_000, perGiB: 1000, required: true },
    boots: true,
  },
  st1: { smallestGiB: 125, largestGiB: 16_384, boots: false },
  sc1: { smallestGiB: 125, largestGiB: 16_384, boots: false },
} as const satisfies Record<string, VolumeType>;

export type VolumeTypeName = keyof typeof VOLUME_TYPES;
export const VOLUME_TYPE_NAMES = Object.keys(VOLUME_TYPES) as VolumeTypeName[];
export const DEFAULT_VOLUME_TYPE = 'gp3' satisfies VolumeTypeName;

/** Of gp3, the only type whose throughput is one's own: MiB/s, and how much of it an IOPS carries. */
const THROUGHPUT = { least: 125, most: 2000, perIops: 0.25 };
const INITIALIZATION_RATE = { least: 100, most: 300 };

/** What EC2 would refuse of a volume, in words for a person: the field, and a sentence's end. */
interface VolumeProblem {
  field: keyof VolumeSettings;
  message: string;
}

/** @param disk what is known of the disk at the recovery site; a plan by itself knows nothing of it */
export function volumeProblems(
  settings: VolumeSettings,
  disk?: { volumeGiB: number; boot: boolean },
): VolumeProblem[] {
  const name = settings.volumeType ?? DEFAULT_VOLUME_TYPE;
  const type: VolumeType = VOLUME_TYPES[name];
  const problems: VolumeProblem[] = [];
  const problem = (field: keyof VolumeSettings, message: string): void =>
    void problems.push({ field, message });
  const within = (
    field: keyof VolumeSettings,
    of: string,
    { least, most }: { least: number; most: number },
  ): boolean => {
    const value = settings[field];
    if (typeof value !== 'number' || (value >= least && value <= most)) return true;
    problem(field, `must be ${least} to ${most}${of}, not ${value}`);
    return false;
  };

  const { iops, throughput } = settings;
  if (type.iops === undefined) {
    if (iops !== undefined)
      problem('iops', `${name} volumes take no iops; take it out, or choose gp3, io1 or io2`);
  } else if (iops === undefined) {
    if (type.iops.required) problem('volumeType', `${name} volumes need iops; add it`);
  } else if (within('iops', ` for ${name}`, type.iops) && disk !== undefined) {
    // What gp3 has by itself, a volume of any size has.
    const most = Math.max(type.iops.perGiB * disk.volumeGiB, type.iops.required ? 0 : type.iops.least);
    if (iops > most)
      problem(
        'iops',
        `must be at most ${most} for ${name} of ${disk.volumeGiB} GiB (${type.iops.perGiB} a GiB), not ${iops}`,
      );
  }
  if (throughput !== undefined && name !== 'gp3')
    problem('throughput', `${name} volumes take no throughput; take it out, or choose gp3`);
  else if (throughput !== undefined && within('throughput', ' MiB/s', THROUGHPUT)) {
    const needed = Math.ceil(throughput / THROUGHPUT.perIops);
    if (needed > (iops ?? VOLUME_TYPES.gp3.iops.least))
      problem('throughput', `${throughput} MiB/s needs at least ${needed} iops; raise iops, or lower it`);
  }
  within('volumeInitializationRate', ' MiB/s', INITIALIZATION_RATE);
  if (disk !== undefined && (disk.volumeGiB < type.smallestGiB || disk.volumeGiB > type.largestGiB))
    problem(
      'volumeType',
      `${name} volumes have ${type.smallestGiB} to ${type.largestGiB} GiB, and this one ${disk.volumeGiB}; choose another`,
    );
  if (disk?.boot === true && !type.boots)
    problem('volumeType', `nothing boots from ${name} volumes; choose another for this disk`);
  return problems;
}
