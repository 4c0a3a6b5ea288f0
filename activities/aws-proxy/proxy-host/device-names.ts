import { type InstanceBlockDeviceMapping } from '@aws-sdk/client-ec2';
import { Context, sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';

/** Names for data volumes ("Device names for volumes on Amazon EC2 instances"); Nitro goes by the order of names only. */
export const DATA_DEVICE_NAMES = [...'fghijklmnopqrstuvwxyz'].map((letter) => `/dev/sd${letter}`);

/** Asks EC2 what the instance has attached. */
export type LookAtInstance = () => Promise<readonly InstanceBlockDeviceMapping[]>;

/** Between two looks at the instance, while nobody here gives a name back. */
const LOOK_SECONDS = 5;
/**
 * That a task which is first waits for others of this process: an injection takes ten, or a few minutes. After that those
 * behind it have their turn, who may need fewer names: copies hold theirs for days.
 */
const TURN_SECONDS = 300;
/** Looks for names that nobody here holds: what was just detached may show a moment longer, what is a person's stays. */
const STRANGERS_LOOKS = 4;

/** The names that one task has until it releases them. */
export interface DeviceClaim {
  /** Where to attach a volume; undefined for one that was attached to this instance already. */
  nameOf(volumeId: string): string | undefined;
  /** Another name instead of one that EC2 has refused. @throws ApplicationFailure WrongState, retryable, where none is left */
  replace(volumeId: string): Promise<void>;
  release(): void;
}

/**
 * The device names of the instance that this process runs on, given to its tasks in the order in which they ask. A task gets
 * all the names that it needs, or none yet: two that have some each and wait for more would wait forever. What anybody
 * else has attached is respected.
 */
export class DeviceNames {
  private readonly promised = new Set<string>();
  private readonly waiting: symbol[] = [];
  private readonly listeners: (() => void)[] = [];

  /**
   * Waits until there is a name for each of the volumes that are not attached yet. Ends early when the activity is cancelled.
   * @throws ApplicationFailure InvalidRequest, non-retryable, for more volumes than there are names
   * @throws ApplicationFailure WrongState, retryable, where too few become free
   */
  async claim(
    volumeIds: readonly string[],
    look: LookAtInstance,
    pollSeconds = LOOK_SECONDS,
  ): Promise<DeviceClaim> {
    const turn = Symbol('turn');
    this.waiting.push(turn);
    try {
      while (this.waiting[0] !== turn) await Promise.race([this.changed(), Context.current().cancelled]);
      const began = Date.now();
      for (let strangersLooks = 0; ;) {
        const changed = this.changed();
        const mappings = await look();
        const missing = notYetOn(mappings, volumeIds);
        const free = this.free(mappings);
        if (free.length >= missing.length)
          return this.promise(new Map(missing.map((volumeId, n) => [volumeId, free[n] ?? ''])), look);
        strangersLooks = this.promised.size === 0 ? strangersLooks + 1 : 0;
        if (strangersLooks >= STRANGERS_LOOKS || Date.now() - began > TURN_SECONDS * 1000)
          throw noneLeft(`${missing.length} volumes`);
        await Promise.race([changed, sleep(pollSeconds * 1000)]);
      }
    } finally {
      this.waiting.splice(this.waiting.indexOf(turn), 1);
      this.change();
    }
  }

  private free(mappings: readonly InstanceBlockDeviceMapping[]): string[] {
    const used = new Set(mappings.map(({ DeviceName }) => DeviceName));
    return DATA_DEVICE_NAMES.filter((name) => !used.has(name) && !this.promised.has(name));
  }

  private promise(names: Map<string, string>, look: LookAtInstance): DeviceClaim {
    // A name that was refused is kept away from the others here, too, for as long as this task lasts.
    const all = [...names.values()];
    for (const name of all) this.promised.add(name);
    return {
      nameOf: (volumeId) => names.get(volumeId),
      replace: async (volumeId) => {
        const [name] = this.free(await look());
        if (name === undefined) throw noneLeft(volumeId);
        this.promised.add(name);
        all.push(name);
        names.set(volumeId, name);
      },
      release: () => {
        for (const name of all.splice(0)) this.promised.delete(name);
        this.change();
      },
    };
  }

  /** Names were given back, or another task is the first now. */
  private changed(): Promise<void> {
    return new Promise((resolve) => this.listeners.push(resolve));
  }

  private change(): void {
    for (const listener of this.listeners.splice(0)) listener();
  }
}

/** Volumes that need a name. One that is on its way off the instance has to come back under one. */
function notYetOn(
  mappings: readonly InstanceBlockDeviceMapping[],
  volumeIds: readonly string[],
): readonly string[] {
  const on = new Set(mappings.map(({ Ebs }) => (Ebs?.Status === 'detaching' ? undefined : Ebs?.VolumeId)));
  const missing = volumeIds.filter((volumeId) => !on.has(volumeId));
  if (missing.length > DATA_DEVICE_NAMES.length)
    throw ApplicationFailure.nonRetryable(
      `An AWS proxy has ${DATA_DEVICE_NAMES.length} device names for volumes; ${missing.length} are to be attached at once.`,
      'InvalidRequest',
    );
  return missing;
}

function noneLeft(what: string): ApplicationFailure {
  return ApplicationFailure.create({
    message: `This AWS proxy has too few device names left to attach ${what}; detach what is not Lifeboat's, or run another proxy.`,
    type: 'WrongState',
    nextRetryDelay: '30 seconds',
  });
}
