import { type ProgressView, progressView } from '../../cli/progress-view';
import { secondsText } from '../../cli/numbers';
import { type DemoStep } from './report';

/** The demo as it is told to whoever runs it. */
export interface Narration {
  /** A line of the story, stamped with the time since its beginning. */
  say(text: string): void;
  /** Text as it is: a table, an error. */
  write(text: string): void;
  begin(step: string): void;
  end(step: DemoStep, proof: string): void;
  /** Shows block copies while a run is under way; nothing where no person watches. */
  progress(): ProgressView;
}

const NO_PROGRESS: ProgressView = { update() {}, note() {}, close() {} };

/** @param json whether stdout belongs to the report, so that the story goes to stderr */
export function narration(json: boolean): Narration {
  const stream = json ? process.stderr : process.stdout;
  const started = Date.now();
  const say = (text: string): void => {
    const seconds = Math.round((Date.now() - started) / 1000);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    stream.write(`${clock.padStart(6)}  ${text}\n`);
  };
  return {
    say,
    write: (text) => void stream.write(text),
    begin: (step) => say(`${step} …`),
    end: ({ name, seconds, blocks }, proof) => {
      const copied = blocks > 0 ? `, ${blocks} blocks` : '';
      say(`${name}: done in ${secondsText(seconds)}${copied}. ${proof}`);
    },
    progress: () =>
      process.stderr.isTTY === true
        ? progressView({
            out: () => {},
            err: (text) => void process.stderr.write(text),
            stderrIsTty: true,
            env: process.env,
            cwd: process.cwd(),
            onInterrupt: () => () => {},
          })
        : NO_PROGRESS,
  };
}
