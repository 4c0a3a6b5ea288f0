import { AwsError } from './errors';

/** Host names under which buckets may stand as a further label ("virtual-hosted style"). */
const BASE_HOSTS = ['s3.localhost', 'localhost'];

/** The bucket that an S3 request names, in its host or first in its path, and the path without it. */
export function s3Target(rawPath: string, host: string | undefined): { path: string; bucket?: string } {
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
  const base = BASE_HOSTS.find((candidate) => name.endsWith(`.${candidate}`));
  // "s3.localhost" itself ends in ".localhost" and is no bucket.
  if (base !== undefined && !BASE_HOSTS.includes(name))
    return { path: rawPath, bucket: name.slice(0, -base.length - 1) };
  const match = /^\/([^/]*)(?:\/(.*))?$/s.exec(rawPath);
  if (match === null) throw new AwsError('InvalidURI', "Couldn't parse the specified URI.");
  const [, bucket = '', key = ''] = match;
  if (bucket === '') return { path: '/' };
  return { path: `/${key}`, bucket: decodeBucket(bucket) };
}

function decodeBucket(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AwsError('InvalidURI', "Couldn't parse the specified URI.");
  }
}
