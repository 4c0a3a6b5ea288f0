import { z } from 'zod';
import { CONTROLLER_KINDS } from '../../../machines/disk-place';

/** A snapshot that there is, as its file says. */
export const snapshotRecord = z.strictObject({
  id: z.string(),
  /** `taking` until QEMU has been seen to hold it; such a one has been given to nobody. */
  state: z.enum(['taking', 'taken']),
  takenAt: z.iso.datetime(),
  consistency: z.enum(['crash', 'powered-off']),
  disks: z.array(
    z.object({
      key: z.string(),
      sizeBytes: z.number(),
      slot: z.number(),
      controller: z.object({ kind: z.enum(CONTROLLER_KINDS), bus: z.number() }).optional(),
      boot: z.boolean(),
    }),
  ),
  /** crash: the QEMU that holds it, by pid and start time. */
  qemu: z.string().optional(),
  /** powered-off: the VM's revision whose disks it is. */
  revision: z.number().optional(),
});

export type SnapshotRecord = z.infer<typeof snapshotRecord>;
