import { z } from 'zod';

/**
 * What was changed in a guest's SYSTEM hive, as it is kept in the guest for the way home. The record lies in a guest that
 * somebody else ran, so only what this product changes can be in it.
 */

const CONTROL_SET = 'ControlSet[0-9]{3}';
/** Keys with values that an adaptation sets. */
const CHANGEABLE_KEY = new RegExp(
  `^${CONTROL_SET}\\\\(Services\\\\(stornvme|AWSNVMe|Dhcp|partmgr\\\\Parameters)|Control\\\\CrashControl)$`,
);
const CHANGEABLE_VALUE = /^(Start|SanPolicy|AutoReboot)$/;
const REMOVABLE_KEY = new RegExp(`^${CONTROL_SET}\\\\Services\\\\(stornvme|AWSNVMe)\\\\StartOverride$`);

/** Names of services, and of values in a StartOverride, that need no escape in a file of regedit's. */
export const PLAIN_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** StartOverride has a REG_DWORD or two; everything else that is changed is a REG_DWORD. */
export const MAX_DATA_BYTES = 64;
export const MAX_OVERRIDES = 16;
/** Windows has some 90 drivers that start with it. */
export const MAX_BOOT_DRIVERS = 1000;
const MAX_CONTROL_SETS = 4;

const stored = z
  .object({
    type: z.number().int().min(0).max(255),
    data: z.string().regex(new RegExp(`^([0-9a-f]{2}){0,${MAX_DATA_BYTES}}$`)),
  })
  .strict();

export const registryRecordSchema = z
  .object({
    values: z
      .array(
        z
          .object({
            key: z.string().regex(CHANGEABLE_KEY, 'is not for Lifeboat to change'),
            name: z.string().regex(CHANGEABLE_VALUE, 'is not for Lifeboat to change'),
            ours: stored,
            /** Null where there was no such value. */
            original: stored.nullable(),
          })
          .strict(),
      )
      .max(100),
    removedKeys: z
      .array(
        z
          .object({
            key: z.string().regex(REMOVABLE_KEY, 'is not for Lifeboat to change'),
            values: z
              .array(z.object({ name: z.string().regex(PLAIN_NAME), ...stored.shape }).strict())
              .max(MAX_OVERRIDES),
          })
          .strict(),
      )
      .max(100),
    /** Drivers that started with Windows at the primary site, by control set: among them those of its disks. */
    bootDrivers: z
      .array(
        z
          .object({
            controlSet: z.string().regex(new RegExp(`^${CONTROL_SET}$`)),
            services: z.array(z.string().regex(PLAIN_NAME)).max(MAX_BOOT_DRIVERS),
          })
          .strict(),
      )
      .max(MAX_CONTROL_SETS),
  })
  .strict();

export type RegistryRecord = z.output<typeof registryRecordSchema>;
export type StoredValue = z.output<typeof stored>;
