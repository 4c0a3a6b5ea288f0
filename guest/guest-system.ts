import { type OpenableGuest } from './family';

/** A guest's system, found on its disks, with what opens it. */
export interface GuestSystem extends OpenableGuest {
  /** What an operator should know of the file systems; complete once they have been opened. */
  readonly warnings: readonly string[];
  /**
   * Replays journals, as the guest itself would do at its next start.
   * @param everything looks through file systems that say they are clean, too: work on them was cut off
   */
  replay(everything: boolean): Promise<void>;
  /**
   * Ends work that went well: everything is on the disks, and the file systems are sound.
   * @throws GuestNotAdaptableError where they are not
   */
  finish(): Promise<void>;
  /** Ends work that failed, or that only looked. */
  abandon(): Promise<void>;
}
