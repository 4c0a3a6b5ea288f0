import { type Duplex } from 'node:stream';
import { Turns } from '../turns';
import { ApplianceError, ToldTooMuchError } from './error';
import { ApplianceMissingError, PROTOCOL } from './image';
import { ReceivedBytes } from './received';

/** What a command of the appliance printed, and how it ended. */
export interface CommandAnswer {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Far more than any command here has to say. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** A line of the agent: a number, an exit code and two lengths. */
const MAX_LINE_BYTES = 200;
const LINE_END = 0x0a;

/** Speaks with the agent of the appliance (setup/appliance/init): one command at a time. */
export class ControlPort {
  private readonly received = new ReceivedBytes();
  private failure: Error | undefined;
  private wake: (() => void) | undefined;
  private readonly turns = new Turns();
  private count = 0;

  /** @param gone tells why the stream has ended */
  constructor(
    private readonly stream: Duplex,
    gone: () => Promise<Error> = () => Promise.resolve(new ApplianceError('has gone')),
  ) {
    stream.on('data', (data: Buffer) => {
      // Nobody waits for it any more.
      if (this.failure !== undefined) return;
      if (this.received.length + data.length > 2 * MAX_OUTPUT_BYTES + MAX_LINE_BYTES)
        return this.fail(garbage());
      this.received.push(data);
      this.wake?.();
    });
    for (const event of ['error', 'end', 'close'])
      stream.on(event, () => void gone().then((error) => this.fail(error)));
  }

  /** Ends whatever is waited for with this error; the first one counts. */
  fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }

  /** Waits until the agent is there. @throws ApplianceMissingError where it speaks another language */
  async greeting(seconds: number): Promise<void> {
    const line = await this.within(seconds, 'does not start', () => this.line());
    const version = /^lifeboat appliance (\d{1,6}) /.exec(line)?.[1];
    if (version === undefined) throw this.failed(garbage());
    if (version !== PROTOCOL) throw new ApplianceMissingError('it was made for another version of Lifeboat');
  }

  /**
   * Runs a program of the appliance, which must be named by its whole path.
   * @param seconds after which the appliance is given up
   * @throws ApplianceError where the appliance gives no answer, or none that can be one
   */
  run(command: string[], seconds: number, maxOutputBytes = 256 * 1024): Promise<CommandAnswer> {
    return this.turns.take(() => this.runNow(command, seconds, maxOutputBytes));
  }

  private async runNow(command: string[], seconds: number, limit: number): Promise<CommandAnswer> {
    if (this.failure) throw this.failure;
    if (limit > MAX_OUTPUT_BYTES) throw new Error(`No command of the appliance may print ${limit} bytes.`);
    const number = ++this.count;
    const program = command[0] ?? '';
    this.stream.write(`${number} ${limit} ${command.map(escapedWord).join(' ')}\n`, 'latin1');
    return this.within(seconds, `does not answer ("${program}")`, async () => {
      const answer = /^(\d{1,9}) (\d{1,3}) (\d{1,8}) (\d{1,8})$/.exec(await this.line());
      const [answered, exitCode, outBytes, errBytes] = (answer ?? []).slice(1).map(Number);
      if (
        answered !== number ||
        exitCode === undefined ||
        outBytes === undefined ||
        errBytes === undefined ||
        Math.max(outBytes, errBytes) > limit + 1
      ) {
        throw this.failed(garbage());
      }
      const stdout = (await this.bytes(outBytes)).toString('latin1');
      const stderr = (await this.bytes(errBytes)).toString('latin1');
      if (Math.max(outBytes, errBytes) > limit) throw new ToldTooMuchError(program, limit);
      return { exitCode, stdout, stderr };
    });
  }

  private async line(): Promise<string> {
    for (;;) {
      const end = this.received.indexOf(LINE_END, MAX_LINE_BYTES);
      if (end < 0 && this.received.length >= MAX_LINE_BYTES) throw this.failed(garbage());
      if (end >= 0)
        return this.received
          .take(end + 1)
          .toString('latin1')
          .slice(0, -1);
      await this.more();
    }
  }

  private async bytes(length: number): Promise<Buffer> {
    while (this.received.length < length) await this.more();
    return this.received.take(length);
  }

  private more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.wake = undefined;
        if (this.failure) reject(this.failure);
        else resolve();
      };
      if (this.failure) return settle();
      this.wake = settle;
    });
  }

  private async within<T>(seconds: number, problem: string, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(
      () => this.fail(new ApplianceError(`${problem} within ${seconds} s`)),
      seconds * 1000,
    );
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  private failed(error: Error): Error {
    this.fail(error);
    return error;
  }
}

function garbage(): ApplianceError {
  return new ApplianceError('answers what is not understood');
}

/** A word as the agent reads it: begins with a dot, and has its unusual bytes in octal. */
function escapedWord(word: string): string {
  const bytes = [...Buffer.from(word, 'latin1')];
  return `.${bytes.map((byte) => (/[\w./=,:@+-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, '0')}`)).join('')}`;
}
