/** What an instance's machine is made of. */
export interface InstanceMachine {
  instanceId: string;
  firmware: 'bios' | 'uefi';
  cpus: number;
  memoryMiB: number;
  /** In the order of their device names; the first is the one to boot from. */
  disks: { path: string; volumeId: string; root: boolean }[];
  nic: { segment: string; mac: string; address: string };
  /** TCP ports of the private address that can be reached at the public one. */
  published?: { address: string; ports: number[] };
}

/** Runs the machines behind instances. Every call is idempotent. */
export interface InstanceRunner {
  /** Whether volumes can come and go while a machine runs. */
  readonly hotPlug: boolean;
  /** Returns when the machine runs and its network is there; repairs the network of one that runs already. */
  start(machine: InstanceMachine): Promise<void>;
  isRunning(instanceId: string): Promise<boolean>;
  /** After a restart of the endpoint: takes a machine over that should run. @returns whether it does */
  adopt(machine: InstanceMachine): Promise<boolean>;
  /** Asks the guest to power off. @returns whether it did within the time */
  powerDown(instanceId: string, timeoutSeconds: number): Promise<boolean>;
  kill(instanceId: string): Promise<void>;
  /** Takes away what a machine that is off leaves behind: addresses, published ports. */
  release(machine: Pick<InstanceMachine, 'instanceId' | 'nic'>): Promise<void>;
  /** Removes everything of an instance, its console included. */
  forget(instanceId: string): Promise<void>;
  /** Runs `work` while the machine stands still. */
  whilePaused<T>(instanceId: string, work: () => Promise<T>): Promise<T>;
  console(instanceId: string): Promise<Buffer>;
  /**
   * The screen of a machine that runs, in the PPM format; undefined where instances have none, as they only change states.
   * @param wakeUp whether a key is pressed first
   */
  screen(instanceId: string, wakeUp: boolean): Promise<Buffer | undefined>;
  /** Whether the guest answers ARP requests for its address: what EC2's instance status check asks. */
  answersArp(machine: Pick<InstanceMachine, 'instanceId' | 'nic'>): Promise<boolean>;
  /** Gives up what belongs to this process (published ports); machines run on. */
  close(): Promise<void>;
}
