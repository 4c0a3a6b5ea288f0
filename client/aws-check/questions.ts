import { setTimeout as pause } from 'node:timers/promises';
import { toFailure, withoutSecrets } from '../../activities/failures';
import { messageOf } from '../../host/message-of';
import { type Finding } from '../../plan/readiness';
import {
  type Answer,
  answerOf,
  type Difference,
  differences,
  errorText,
  type Fact,
  isUnanswered,
  refusalOf,
} from './answer';

/**
 * How a question ended.
 * - `ok`: as the plan wants it, and as the sandbox answers it where that is known.
 * - `differs`: it was answered, otherwise.
 * - `refused`: a permission is missing, or the credentials will not do.
 * - `unreachable`: nobody answered, or the service has trouble of its own.
 * - `not asked`: what it needs is not there, or nothing but a look would show it.
 */
export type Verdict = 'ok' | 'differs' | 'refused' | 'unreachable' | 'not asked';

/** One line of the check. */
export interface CheckLine {
  verdict: Verdict;
  /** Id of the question, the same in every run. */
  question: string;
  /** What was asked, for people. */
  about: string;
  /** IAM action that the question needs, such as `ebs:StartSnapshot`; absent where it needs none. */
  action?: string;
  /** What was found, in a sentence; absent where all is said. */
  detail?: string;
  /** Seconds that AWS took until the last state; of questions that wait only. */
  seconds?: number;
}

/** The check was stopped by a person. */
export class StoppedError extends Error {
  constructor() {
    super('The check was stopped.');
    this.name = 'StoppedError';
  }
}

/** What the sandbox answers to each question, by its id. */
export type ExpectedAnswers = Readonly<Record<string, Answer>>;

/** Findings of the readiness check as what {@link Questions.find} takes. */
export const texts = (findings: Finding[]): { wrong: string[] } => ({
  wrong: findings.map(({ text }) => text),
});

export interface Question<Output> {
  id: string;
  about: string;
  action: string;
  call: () => Promise<Output>;
  facts?: (output: Output) => Record<string, Fact>;
}

export interface Watch<Seen> {
  id: string;
  about: string;
  action: string;
  /** State that the call before has answered. */
  from?: string;
  /** @returns what it sees; undefined where it is not listed yet */
  look: () => Promise<Seen | undefined>;
  state: (seen: Seen) => string | undefined;
  /** The state that is waited for, and those that it never leaves for it. */
  until: string;
  never?: string[];
  facts?: (seen: Seen) => Record<string, Fact>;
}

export interface QuestionsOptions {
  expected: ExpectedAnswers;
  signal: AbortSignal;
  /** Hears of each line when it is known. */
  onLine?: (line: CheckLine) => void;
  /** Seconds between two looks at what takes time, in the place of a growing pause. */
  pollSeconds?: number;
  /** Seconds that a state is waited for. */
  limitSeconds?: number;
}

/** A snapshot of a few blocks takes a minute on AWS, as does a change of DNS; ten say that something is wrong. */
const LIMIT_SECONDS = 600;
/** Between two looks, at first and at most: most of what AWS does takes seconds, and a minute is soon over. */
const FIRST_POLL_SECONDS = 0.1;
const LONGEST_POLL_SECONDS = 5;
const NO_AUTHORITY = new Set(['NotPermitted', 'BadCredentials']);
const NO_ANSWER = new Set(['Network', 'AwsTrouble', 'Throttled']);

/** Seconds until the next look after so many. @param fixed in the place of a growing pause */
export const pauseSeconds = (looks: number, fixed?: number): number =>
  fixed ?? Math.min(LONGEST_POLL_SECONDS, FIRST_POLL_SECONDS * 2 ** looks);

/** Asks questions one after the other, and keeps what was answered. */
export class Questions {
  readonly lines: CheckLine[] = [];
  readonly differences: Difference[] = [];
  /** What was answered, by question. */
  readonly answers: Record<string, Answer> = {};

  constructor(private readonly options: QuestionsOptions) {}

  /**
   * Asks. A refusal is an answer, too, where the sandbox refuses as well.
   * @returns what was answered; undefined where that was no success
   * @throws StoppedError @throws what is no answer of AWS's
   */
  async ask<Output extends object>(question: Question<Output>): Promise<Output | undefined> {
    this.heedStop();
    try {
      const output = await question.call();
      this.answered(question, answerOf(output, question.facts?.(output)));
      return output;
    } catch (error) {
      this.failed(question, error);
      return undefined;
    }
  }

  /** Looks until something is in a state, and keeps the states that it went through. @returns what was seen last, in that state */
  async watch<Seen extends object>(watch: Watch<Seen>): Promise<Seen | undefined> {
    const { pollSeconds, limitSeconds = LIMIT_SECONDS } = this.options;
    const states = watch.from === undefined ? [] : [watch.from];
    const begun = Date.now();
    for (let looks = 0; ; looks++) {
      this.heedStop();
      const seconds = (Date.now() - begun) / 1000;
      try {
        const seen = await watch.look();
        const state = seen === undefined ? undefined : watch.state(seen);
        if (state !== undefined && state !== states.at(-1)) states.push(state);
        if (seen !== undefined && (state === watch.until || watch.never?.includes(state ?? '') === true)) {
          this.answered(watch, answerOf(seen, { states, ...watch.facts?.(seen) }), seconds);
          return state === watch.until ? seen : undefined;
        }
      } catch (error) {
        this.failed(watch, error);
        return undefined;
      }
      if (seconds >= limitSeconds) {
        this.tell(
          watch,
          'differs',
          `After ${limitSeconds} seconds it is still ${states.at(-1) ?? 'not listed'}.`,
        );
        return undefined;
      }
      await this.sleep(pauseSeconds(looks, pollSeconds));
    }
  }

  /** Says what was found by other means. */
  tell(
    { id, about, action }: { id: string; about: string; action?: string },
    verdict: Verdict,
    detail?: string,
    seconds?: number,
  ): void {
    const line: CheckLine = {
      verdict,
      question: id,
      about,
      ...(action === undefined ? {} : { action }),
      ...(detail === undefined ? {} : { detail }),
      ...(seconds === undefined ? {} : { seconds: Math.round(seconds * 10) / 10 }),
    };
    this.lines.push(line);
    this.options.onLine?.(line);
  }

  /** A question that finds what is wrong, in sentences; none is well. @throws StoppedError @throws what is no answer of AWS's */
  async find(
    question: { id: string; about: string; action: string },
    look: () => Promise<{ wrong: string[]; detail?: string }>,
  ): Promise<void> {
    this.heedStop();
    try {
      const { wrong, detail } = await look();
      this.tell(
        question,
        wrong.length === 0 ? 'ok' : 'differs',
        wrong.length === 0 ? detail : wrong.join(' '),
      );
    } catch (error) {
      this.failed(question, error);
    }
  }

  private answered(
    question: { id: string; about: string; action: string },
    answer: Answer,
    seconds?: number,
  ): void {
    this.answers[question.id] = answer;
    const expected = this.options.expected[question.id];
    const found = expected === undefined ? [] : differences(question.id, expected, answer);
    this.differences.push(...found);
    const detail = expected === undefined ? errorSentence(answer) : differenceSentence(found);
    this.tell(question, detail === undefined ? 'ok' : 'differs', detail, seconds);
  }

  /** What AWS refuses, or does not answer. */
  private failed(question: { id: string; about: string; action: string }, error: unknown): void {
    const answer = refusalOf(error);
    const expected = this.options.expected[question.id]?.error;
    if (answer?.error !== undefined && expected !== undefined && expected.code === answer.error.code)
      return this.answered(question, answer);
    const failure = toFailure(error, question.about);
    const type = failure.type ?? '';
    const said = withoutSecrets(messageOf(error));
    if (NO_AUTHORITY.has(type)) return this.tell(question, 'refused', said);
    if (NO_ANSWER.has(type) || isUnanswered(error)) return this.tell(question, 'unreachable', said);
    if (answer === undefined) throw error;
    this.answered(question, answer);
  }

  private heedStop(): void {
    if (this.options.signal.aborted) throw new StoppedError();
  }

  private async sleep(seconds: number): Promise<void> {
    try {
      await pause(seconds * 1000, undefined, { signal: this.options.signal });
    } catch (error) {
      if (this.options.signal.aborted) throw new StoppedError();
      throw error;
    }
  }
}

function differenceSentence(found: Difference[]): string | undefined {
  const first = found.find(({ wordsOnly }) => !wordsOnly);
  return first && `${first.about}: the sandbox says ${first.sandbox}, AWS says ${first.aws}.`;
}

/** Of a question that the sandbox was never asked. */
const errorSentence = ({ error }: Answer): string | undefined =>
  error && `${errorText(error)}: ${error.words}`;
