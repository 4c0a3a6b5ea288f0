import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lifeboatVersion } from '../host/version';
import { VERSIONED_BUNDLE } from './bundle-name';

/** Of the digest: one in 2^48, and short enough to be read out. */
const DIGITS = 12;

/**
 * Names what is installed, as `0.1.0+1a2b3c4d5e6f`: the package's version, and a digest of the workflows' bundle. Builds of one version
 * whose workflows are the same have the same name, wherever they were built; those of other workflows never do. Of a checkout
 * that is not built, the version alone.
 * @param directory with the bundle
 */
export function buildId(directory = join(__dirname, '..')): string {
  const bundle = join(directory, VERSIONED_BUNDLE);
  if (!existsSync(bundle)) return lifeboatVersion();
  return `${lifeboatVersion()}+${workflowsDigest(readFileSync(bundle, 'utf8'))}`;
}

/** The source map does not run, and holds the paths of whoever has built it. */
export function workflowsDigest(bundle: string): string {
  const end = bundle.lastIndexOf('//# sourceMappingURL=');
  const code = end === -1 ? bundle : bundle.slice(0, end);
  return createHash('sha256').update(code).digest('hex').slice(0, DIGITS);
}
