import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { bucketName } from './request-limits';
import { AwsError } from './wire/errors';
import { type EndpointOptions } from './wire/endpoint';

/** In the endpoint's directory: {@link RequestCounts}, not older than {@link WRITE_MS}. */
export const REQUEST_COUNTS_FILE = 'request-counts.json';
/** Milliseconds between two writes at least: some thousand requests a second are to cost one. */
const WRITE_MS = 500;

const counts = z.record(z.string(), z.object({ admitted: z.number().int(), refused: z.number().int() }));
/**
 * Requests over the life of the endpoint's directory, by service and action, such as `ec2:RunInstances`; by name of their
 * bucket, that is: `ec2:DescribeVolumes (unfiltered)` is one for itself.
 */
export type RequestCounts = z.infer<typeof counts>;

/** Codes by which services say that requests come too fast; whether a limit said so or a fault is the same to a client. */
const REFUSALS: ReadonlySet<string> = new Set([
  'RequestLimitExceeded',
  'RequestThrottledException',
  'SlowDown',
  'Throttling',
]);

/** Counts what is admitted, and what is refused because it comes too fast. */
export function requestCounting(
  directory: string,
  log: EndpointOptions['log'],
): {
  intercept: NonNullable<EndpointOptions['intercept']>;
  /** Writes down what is not yet, and writes no more. */
  close(): void;
} {
  const path = join(directory, REQUEST_COUNTS_FILE);
  const counted = new Map(Object.entries(readCounts(path)));
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function write(): void {
    timer = undefined;
    try {
      writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(counted)));
      renameSync(`${path}.new`, path);
    } catch (error) {
      log(`${path} cannot be written`, error);
    }
  }
  function count(name: string, kind: 'admitted' | 'refused'): void {
    const before = counted.get(name) ?? { admitted: 0, refused: 0 };
    counted.set(name, { ...before, [kind]: before[kind] + 1 });
    if (!closed) timer ??= setTimeout(write, WRITE_MS);
  }

  return {
    async intercept(call, handle) {
      const name = bucketName(call);
      try {
        const output = await handle();
        count(name, 'admitted');
        return output;
      } catch (error) {
        count(name, error instanceof AwsError && REFUSALS.has(error.code) ? 'refused' : 'admitted');
        throw error;
      }
    },
    close() {
      closed = true;
      if (timer === undefined) return;
      clearTimeout(timer);
      write();
    },
  };
}

/** The counts of an endpoint whose directory this is; none where it has not written any. */
export function readRequestCounts(directory: string): RequestCounts {
  return readCounts(join(directory, REQUEST_COUNTS_FILE));
}

function readCounts(path: string): RequestCounts {
  try {
    return counts.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
