import { AwsError } from '../wire/errors';

/**
 * The one range of a Range header, first and last byte; undefined where the whole object is meant, which is also
 * the answer to headers that are no range (RFC 9110, section 14.2).
 * @throws AwsError InvalidRange where it begins behind the object's end
 */
export function readRange(
  header: string | undefined,
  bytes: number,
): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1);
  if (first !== '' && last !== '' && Number(last) < start) return undefined;
  if (start >= bytes || (first === '' && Number(last) === 0))
    throw new AwsError('InvalidRange', 'The requested range is not satisfiable', 416, {
      RangeRequested: header,
      ActualObjectSize: bytes,
    });
  return { start, end };
}
