import { AwsError } from '../wire/errors';

interface Listed {
  id: string;
  createdAt: string;
}

interface PageRequest {
  MaxResults?: number;
  NextToken?: string;
}

/** The most that EC2 puts on a page. */
const LARGEST_PAGE = 1000;

/** Sorts by age and cuts out the page asked for. A token says behind which resource the next page begins. */
export function page<T extends Listed>(
  items: T[],
  request: PageRequest,
  smallest = 5,
): { items: T[]; NextToken: string | undefined } {
  const sorted = [...items].sort((a, b) => compare(position(a), position(b)));
  const after = request.NextToken === undefined ? '' : decode(request.NextToken);
  const rest = sorted.filter((item) => position(item) > after);
  if (request.MaxResults === undefined) return { items: rest, NextToken: undefined };
  if (request.MaxResults < smallest)
    throw new AwsError(
      'InvalidParameterValue',
      `Value ( ${request.MaxResults} ) for parameter maxResults is invalid. Expecting a value greater than ${smallest}.`,
    );
  const items_ = rest.slice(0, Math.min(request.MaxResults, LARGEST_PAGE));
  const last = items_.at(-1);
  return {
    items: items_,
    NextToken: last !== undefined && items_.length < rest.length ? encode(position(last)) : undefined,
  };
}

const position = ({ createdAt, id }: Listed): string => `${createdAt}/${id}`;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const encode = (text: string): string => Buffer.from(text).toString('base64url');

function decode(token: string): string {
  const text = Buffer.from(token, 'base64url').toString();
  if (!/^[\dTZ:.-]+\/[a-z-]+[0-9a-f]*/.test(text))
    throw new AwsError('InvalidNextToken', 'The token is not valid.');
  return text;
}
