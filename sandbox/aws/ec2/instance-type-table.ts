/** An instance type as far as the sandbox knows it. */
export interface InstanceTypeEntry {
  name: string;
  vcpus: number;
  memoryMiB: number;
  bootModes: ('legacy-bios' | 'uefi')[];
  burstable: boolean;
}

const GIB = 1024;

/** vCPUs and GiB of memory by size, from AWS's instance type pages. All types here are x86_64 and Nitro. */
const BURSTABLE: Record<string, [vcpus: number, memoryGiB: number]> = {
  nano: [2, 0.5],
  micro: [2, 1],
  small: [2, 2],
  medium: [2, 4],
  large: [2, 8],
  xlarge: [4, 16],
  '2xlarge': [8, 32],
};

/** vCPUs by size; a family has a fixed amount of memory a vCPU. */
const SIZES: Record<string, number> = {
  large: 2,
  xlarge: 4,
  '2xlarge': 8,
  '4xlarge': 16,
  '8xlarge': 32,
  '12xlarge': 48,
  '16xlarge': 64,
  '24xlarge': 96,
};

const GIB_PER_VCPU: Record<string, number> = { m5: 4, m6i: 4, m7i: 4, c6i: 2, r6i: 8 };

/** Nitro types of today boot both ways; the older ones here do as well. */
const BOTH: InstanceTypeEntry['bootModes'] = ['legacy-bios', 'uefi'];

export const INSTANCE_TYPES: ReadonlyMap<string, InstanceTypeEntry> = new Map(
  [
    ...['t3', 't3a'].flatMap((family) =>
      Object.entries(BURSTABLE).map(([size, [vcpus, memoryGiB]]) => ({
        name: `${family}.${size}`,
        vcpus,
        memoryMiB: memoryGiB * GIB,
        bootModes: BOTH,
        burstable: true,
      })),
    ),
    ...Object.entries(GIB_PER_VCPU).flatMap(([family, gib]) =>
      Object.entries(SIZES).map(([size, vcpus]) => ({
        name: `${family}.${size}`,
        vcpus,
        memoryMiB: vcpus * gib * GIB,
        bootModes: BOTH,
        burstable: false,
      })),
    ),
  ].map((entry) => [entry.name, entry]),
);
