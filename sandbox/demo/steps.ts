import { type CopyResult } from '../../activities/copy-result';
import { type Narration } from './narration';
import { type DemoReport } from './report';

/** What a step came to. */
export interface StepOutcome {
  /** What was seen that proves the step, in a sentence. */
  proof: string;
  /** Disks that it copied. */
  copied?: Pick<CopyResult, 'blocks' | 'bytes'>[];
}

/** A step did not hold; the message begins with its name. */
export class StepFailedError extends Error {
  constructor(
    readonly step: string,
    cause: unknown,
  ) {
    super(`${step}: ${sentenceOf(cause)}`, { cause });
    this.name = 'StepFailedError';
  }
}

function sentenceOf(error: unknown): string {
  // A run that failed knows where: VM and activity.
  if (error instanceof Error && 'sentence' in error && typeof error.sentence === 'string')
    return error.sentence;
  return error instanceof Error ? error.message || error.name : String(error);
}

/** Takes the steps of the story one after another, times them and puts them into the report. */
export class Steps {
  constructor(
    private readonly report: DemoReport,
    private readonly narration: Narration,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws StepFailedError @throws the signal's reason, once it is aborted */
  async take(name: string, work: () => Promise<StepOutcome>): Promise<void> {
    this.signal.throwIfAborted();
    this.narration.begin(name);
    const started = performance.now();
    try {
      const { proof, copied = [] } = await work();
      const step = {
        name,
        seconds: Math.round((performance.now() - started) / 100) / 10,
        blocks: copied.reduce((sum, { blocks }) => sum + blocks, 0),
        bytes: copied.reduce((sum, { bytes }) => sum + bytes, 0),
      };
      this.report.steps.push(step);
      this.narration.end(step, proof);
    } catch (error) {
      throw new StepFailedError(name, error);
    }
  }
}

/** @throws Error with the message where the claim is false */
export function prove(claim: boolean, otherwise: string): asserts claim {
  if (!claim) throw new Error(otherwise);
}
