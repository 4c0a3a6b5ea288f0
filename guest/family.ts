import { type DeviceNames } from './disk/device-names';
import { type EfiSystem } from './disk/efi-fallback';
import { type OpenGuest } from './files/open-guest';
import { type GuestFiles } from './files/port';
import { type AdaptationReport, type RecoverySiteAdaptation } from './port';

/** A guest whose file systems are found, replayed and sound. */
export interface OpenableGuest {
  /** For writing. */
  open: OpenGuest;
  openReadOnly: OpenGuest;
  names: DeviceNames;
}

/** What the record in a guest says of earlier work on it. */
export type RecordedState = 'never adapted' | 'adapted' | 'cut off';

/** How guests of one kind are adapted. */
export interface OperatingSystemFamily {
  name: string;
  /** Whose loader UEFI is to start. */
  efi: EfiSystem;
  /** @throws GuestNotAdaptableError where the record is none of ours */
  recordedState(files: GuestFiles): Promise<RecordedState>;
  adapt(guest: OpenableGuest, adaptation: RecoverySiteAdaptation): Promise<AdaptationReport>;
  revert(guest: OpenableGuest): Promise<AdaptationReport>;
}
