/** An instance type as far as the sandbox knows it. */
export interface InstanceTypeEntry {
  name: string;
  vcpus: number;
  memoryMiB: number;
  bootModes: ('legacy-bios' | 'uefi')[];
  burstable: boolean;
  /** Private IPv4 addresses that a network interface takes. */
  addressesPerCard: number;
}

const GIB = 1024;

/**
 * vCPUs, GiB of memory and addresses a network interface by size, from AWS's instance type pages. All types here are x86_64 and
 * Nitro.
 */
const BURSTABLE: Record<string, [vcpus: number, memoryGiB: number, addresses: number]> = {
  nano: [2, 0.5, 2],
  micro: [2, 1, 2],
  small: [2, 2, 4],
  medium: [2, 4, 6],
  large: [2, 8, 12],
  xlarge: [4, 16, 15],
  '2xlarge': [8, 32, 15],
};

/** vCPUs and addresses a network interface by size; a family has a fixed amount of memory a vCPU. */
const SIZES: Record<string, [vcpus: number, addresses: number]> = {
  large: [2, 10],
  xlarge: [4, 15],
  '2xlarge': [8, 15],
  '4xlarge': [16, 30],
  '8xlarge': [32, 30],
  '12xlarge': [48, 30],
  '16xlarge': [64, 50],
  '24xlarge': [96, 50],
};

const GIB_PER_VCPU: Record<string, number> = { m5: 4, m6i: 4, m7i: 4, c6i: 2, r6i: 8 };

/** Nitro types of today boot both ways; the older ones here do as well. */
const BOTH: InstanceTypeEntry['bootModes'] = ['legacy-bios', 'uefi'];

export const INSTANCE_TYPES: ReadonlyMap<string, InstanceTypeEntry> = new Map(
  [
    ...['t3', 't3a'].flatMap((family) =>
      Object.entries(BURSTABLE).map(([size, [vcpus, memoryGiB, addressesPerCard]]) => ({
        name: `${family}.${size}`,
        vcpus,
        memoryMiB: memoryGiB * GIB,
        bootModes: BOTH,
        burstable: true,
        addressesPerCard,
      })),
    ),
    ...Object.entries(GIB_PER_VCPU).flatMap(([family, gib]) =>
      Object.entries(SIZES).map(([size, [vcpus, addressesPerCard]]) => ({
        name: `${family}.${size}`,
        vcpus,
        memoryMiB: vcpus * gib * GIB,
        bootModes: BOTH,
        burstable: false,
        addressesPerCard,
      })),
    ),
  ].map((entry) => [entry.name, entry]),
);
