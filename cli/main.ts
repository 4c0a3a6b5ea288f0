import { createInterface } from 'node:readline/promises';
import { guardOutput, tellUncaught } from '../host/guarded-output';
import { type CliIo } from './io';
import { runCli } from './program';

/** The process's own streams, environment and signals. */
const io: CliIo = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  stderrIsTty: process.stderr.isTTY === true,
  stdoutIsTty: process.stdout.isTTY === true,
  env: process.env,
  cwd: process.cwd(),
  ...(process.stdin.isTTY === true ? { ask } : {}),
  onInterrupt(callback) {
    process.once('SIGINT', callback);
    return () => process.off('SIGINT', callback);
  },
};

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question);
  } finally {
    lines.close();
  }
}

// A reader that goes away (`lifeboat status | head`) is no error.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

// What a command is asked for goes to stdout as it is: `sandbox env` tells the sandbox's keys.
guardOutput(process.stderr);
tellUncaught();

async function main(): Promise<void> {
  const exitCode = await runCli(process.argv.slice(2), io);
  // Whatever is still open (a poll of the run that was detached from) must not keep the command; what was written must
  // arrive first, which on a pipe it does later.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))),
  );
  process.exit(exitCode);
}

void main();
