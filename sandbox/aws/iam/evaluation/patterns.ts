import { PolicyError } from './policy-error';
import { type RequestContext } from './request-context';

/** Whether a text is one of those that a pattern of a policy means, for one request. */
export type Matcher = (text: string, context: RequestContext) => boolean;

type Token =
  | { kind: 'text'; text: string }
  | { kind: 'any' | 'one' }
  | { kind: 'variable'; key: string; fallback: string | undefined };

/** Segments of an ARN: arn, partition, service, region, account, and all the rest. */
const ARN_SEGMENTS = 6;

/**
 * Reads wildcards and policy variables (`${aws:PrincipalAccount}`, `${key, 'default'}`, and `${*}`, `${?}`, `${$}` for the characters
 * themselves; IAM User Guide, "Policy variables").
 * @throws PolicyError for a variable without end
 */
function readTokens(pattern: string, wildcards: boolean): Token[] {
  const tokens: Token[] = [];
  const text = (piece: string): void => {
    const last = tokens.at(-1);
    if (last?.kind === 'text') last.text += piece;
    else tokens.push({ kind: 'text', text: piece });
  };
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === '$' && pattern[at + 1] === '{') {
      const end = pattern.indexOf('}', at);
      if (end < 0) throw new PolicyError(`"${pattern}" has a policy variable without its end.`);
      const inside = pattern.slice(at + 2, end);
      if (inside === '*' || inside === '?' || inside === '$') text(inside);
      else tokens.push(readVariable(inside, pattern));
      at = end;
    } else if (wildcards && character === '*') tokens.push({ kind: 'any' });
    else if (wildcards && character === '?') tokens.push({ kind: 'one' });
    else text(character);
  }
  return tokens;
}

function readVariable(inside: string, pattern: string): Token {
  const [, key, , fallback] = /^\s*([^\s,'{}]+)\s*(,\s*'([^']*)'\s*)?$/.exec(inside) ?? [];
  if (key === undefined) throw new PolicyError(`"\${${inside}}" in "${pattern}" is no policy variable.`);
  return { kind: 'variable', key: key.toLowerCase(), fallback };
}

/** @returns undefined where a variable has no value in this request, so that nothing matches */
function regularExpression(tokens: Token[], context: RequestContext, flags: string): RegExp | undefined {
  let source = '';
  for (const token of tokens)
    switch (token.kind) {
      case 'any':
        source += '.*';
        break;
      case 'one':
        source += '.';
        break;
      case 'text':
        source += escaped(token.text);
        break;
      case 'variable': {
        const value = context.get(token.key) ?? token.fallback;
        // A key with several values cannot stand in a text.
        if (typeof value !== 'string') return undefined;
        source += escaped(value);
      }
    }
  return new RegExp(`^${source}$`, flags);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

function compile(tokens: Token[], flags: string): Matcher {
  if (tokens.some(({ kind }) => kind === 'variable'))
    return (text, context) => regularExpression(tokens, context, flags)?.test(text) ?? false;
  if (tokens.every(({ kind }) => kind === 'any') && tokens.length > 0) return () => true;
  const plain = tokens.map((token) => (token.kind === 'text' ? token.text : undefined));
  if (flags === 's' && plain.every((piece) => piece !== undefined)) {
    const whole = plain.join('');
    return (text) => text === whole;
  }
  const expression = regularExpression(tokens, NO_CONTEXT, flags);
  return (text) => expression?.test(text) ?? false;
}

const NO_CONTEXT = { get: () => undefined } as unknown as RequestContext;

/** A text of a policy, as StringEquals and its like compare it. */
export function textMatcher(
  pattern: string,
  { wildcards, ignoreCase }: { wildcards: boolean; ignoreCase: boolean },
): Matcher {
  return compile(readTokens(pattern, wildcards), ignoreCase ? 'si' : 's');
}

/**
 * An ARN of a policy, compared segment by segment: no wildcard reaches beyond its segment, but for the last one's ("Resource" and "ARN
 * condition operators", IAM User Guide). `*` alone is every resource.
 * @throws PolicyError for what is no ARN
 */
export function arnMatcher(pattern: string): Matcher {
  if (pattern === '*') return () => true;
  const segments = splitSegments(readTokens(pattern, true));
  if (segments.length !== ARN_SEGMENTS || pattern.slice(0, 4) !== 'arn:')
    throw new PolicyError(`"${pattern}" is no ARN of six segments.`);
  // "Where you can use policy variables" (IAM User Guide): after the fifth colon.
  if (segments.slice(0, -1).some((tokens) => tokens.some(({ kind }) => kind === 'variable')))
    throw new PolicyError(`"${pattern}" has a policy variable before the ARN's last segment.`);
  const matchers = segments.map((tokens) => compile(tokens, 's'));
  return (arn, context) => {
    const pieces = arn.split(':');
    if (pieces.length < ARN_SEGMENTS) return false;
    const last = pieces.slice(ARN_SEGMENTS - 1).join(':');
    return matchers.every((matches, index) =>
      matches(index === ARN_SEGMENTS - 1 ? last : (pieces[index] ?? ''), context),
    );
  };
}

/** Splits at the first five colons that the policy itself has; those of a variable's value stay in its segment. */
function splitSegments(tokens: Token[]): Token[][] {
  const segments: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind !== 'text') {
      segments.at(-1)?.push(token);
      continue;
    }
    const pieces = token.text.split(':');
    const room = ARN_SEGMENTS - segments.length;
    const begun = pieces.slice(0, room);
    const rest = pieces.slice(room).join(':');
    const parts = pieces.length > room ? [...begun, rest] : pieces;
    parts.forEach((piece, index) => {
      if (index > 0) segments.push([]);
      if (piece !== '') segments.at(-1)?.push({ kind: 'text', text: piece });
    });
  }
  return segments;
}

/** An action of a policy: `service:Action` with wildcards, the same in upper and lower case. */
export function actionMatcher(pattern: string): (action: string) => boolean {
  if (pattern === '*') return () => true;
  if (!/^[a-z0-9-]+:[A-Za-z0-9*?]+$/i.test(pattern))
    throw new PolicyError(`"${pattern}" is no action of a service.`);
  const matches = textMatcher(pattern, { wildcards: true, ignoreCase: true });
  return (action) => matches(action, NO_CONTEXT);
}
