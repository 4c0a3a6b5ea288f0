import { readFile } from 'node:fs/promises';
import { type DataConverter } from '@temporalio/common';

/** Words of wire/bundled-failures.ts, of one length, so that the source map stays right. */
const PLAIN = 'lifeboat-failures:plain..';
const ENCODED = 'lifeboat-failures:encoded';

/** The bundle for a worker that encrypts. @throws Error where it is not one that was built with bundled-failures.ts */
export function withEncodedFailures(code: string): string {
  // The source map, in base64 behind it, does not have the word as it is.
  const [before, after, ...more] = code.split(PLAIN);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error("The workflows' bundle does not say how failures are written: build Lifeboat anew.");
  return `${before}${ENCODED}${after}`;
}

/** The built bundle as a worker of this data converter runs it. */
export async function bundleFor<Bundle extends { code: string } | { codePath: string }>(
  { failureConverterPath }: DataConverter,
  bundle: Bundle,
): Promise<Bundle | { code: string }> {
  if (failureConverterPath === undefined) return bundle;
  return {
    code: withEncodedFailures('code' in bundle ? bundle.code : await readFile(bundle.codePath, 'utf8')),
  };
}
