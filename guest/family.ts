import { type DeviceNames } from './disk/device-names';
import { type OpenGuest } from './files/open-guest';
import { type AdaptationReport, type RecoverySiteAdaptation } from './port';

/** A guest whose file systems are found, replayed and sound. */
export interface OpenableGuest {
  /** For writing. */
  open: OpenGuest;
  openReadOnly: OpenGuest;
  names: DeviceNames;
}

/** How guests of one kind are adapted: by what makes their initramfs, which decides nearly everything else. */
export interface OperatingSystemFamily {
  name: string;
  adapt(guest: OpenableGuest, adaptation: RecoverySiteAdaptation): Promise<AdaptationReport>;
  revert(guest: OpenableGuest): Promise<AdaptationReport>;
}
