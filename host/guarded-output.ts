import { withoutSecrets } from './secrets';

type Write = NodeJS.WriteStream['write'];

/**
 * From now on, nothing that this process's code writes to the stream has a secret in it that the process knows. Lines are written whole,
 * by console, by loggers and by the command; a secret that is cut between two writes is not found.
 */
export function guardOutput(stream: NodeJS.WriteStream): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]) =>
    write(typeof chunk === 'string' ? withoutSecrets(chunk) : chunk, ...rest)) as Write;
}

/** What nobody has caught, which Node itself would write past all guards. Ends the process, as Node does. */
export function tellUncaught(): void {
  process.on('uncaughtException', (error: unknown) => {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${withoutSecrets(told)}\n`, () => process.exit(1));
  });
}
