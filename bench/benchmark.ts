import { type Usage } from './measure';
import { type Behaviour } from './endpoint/main';
import { type Workspace } from './workspace';

/** What one run of one side took. */
export interface Run extends Usage {
  /** Ours: from the call of the activity to its end, without the start of Node and the loading of modules. */
  copy?: { wallSeconds: number; cpuSeconds: number };
  /** What a run came to beside its times, such as bytes that were stored. */
  counts?: Record<string, number>;
}

/** One of the two that are compared. */
export interface Side {
  /** What runs, in words. */
  name: string;
  /** Blocks that a run of it moves, where not those of {@link Prepared}. */
  blocks?: number;
  /** @param verify whether every byte is checked as well, in the untimed pair */
  run(verify: boolean): Promise<Run>;
}

/** What the endpoint can take from a client that does nothing but send or receive. */
export interface Ceiling {
  blocksPerSecond: number;
  endpointCpuMsPerBlock: number;
}

/** A benchmark, set up and ready to be run. */
export interface Prepared {
  ours: Side;
  /** Absent where nothing comparable exists. */
  peer?: Side;
  /** Blocks that a run moves. */
  blocks: number;
  /** Further versions, and what was measured how. */
  notes: Record<string, string>;
  ceiling?(): Promise<Ceiling>;
  /** Further figures that come of the runs, by name. */
  further?(ours: Run, peer: Run | undefined): Record<string, number>;
  /** CPU of the endpoints so far, in seconds. */
  endpointCpuSeconds(): Promise<number>;
}

export interface BenchmarkOptions {
  sizeMiB: number;
  pairs: number;
  /** How the endpoint of EBS direct behaves while our side runs, where the command line says; there is no peer then. */
  behaviour?: Behaviour;
}

export interface Benchmark {
  name: string;
  /** Size of the disk, where the command line does not say. */
  sizeMiB: number;
  pairs: number;
  /** Whether the endpoint's behaviour can be chosen. */
  behaves?: true;
  prepare(workspace: Workspace, options: BenchmarkOptions): Promise<Prepared>;
}
