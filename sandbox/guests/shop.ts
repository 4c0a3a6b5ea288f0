import type { VmConfiguration } from '../../hypervisor/port';

/** Network of the sandbox's data centre that the sample VMs are on. */
const network = 'dc';

interface GuestDefinition {
  configuration: VmConfiguration;
  /** Per disk key that holds no operating system: how its file system is made. */
  dataDisks: Record<string, { uuid: string; mountPoint: string }>;
}

/** The VMs of the sample application "shop", in the order in which they start. */
export const shopGuests = {
  db: {
    configuration: {
      cpus: 1,
      memoryMiB: 384,
      firmware: 'bios',
      nics: [{ network, mac: '00:50:56:00:10:30' }],
      guestOs: 'debian-64',
      disks: [
        { key: 'system', sizeBytes: 1024 ** 3, slot: 0, boot: true },
        { key: 'data', sizeBytes: 256 * 1024 ** 2, slot: 1, boot: false },
      ],
    },
    dataDisks: { data: { uuid: '6a0d3c52-5b7e-4f0a-9c41-0f5e8b7a2003', mountPoint: '/var/lib/redis' } },
  },
  web: {
    configuration: {
      cpus: 1,
      memoryMiB: 384,
      firmware: 'bios',
      nics: [{ network, mac: '00:50:56:00:10:20' }],
      guestOs: 'debian-64',
      // On purpose no whole GiB and no whole number of 512 KiB blocks: an EBS volume is larger, and the disk that
      // comes home must have this very size again.
      disks: [{ key: 'system', sizeBytes: 1_200_000_512, slot: 0, boot: true }],
    },
    dataDisks: {},
  },
} satisfies Record<string, GuestDefinition>;
