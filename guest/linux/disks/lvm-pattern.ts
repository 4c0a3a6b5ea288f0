/**
 * LVM's own regular expressions (libdm/regex: alternatives, groups, ranges, `*`, `+`, `?`, `.`, `^`, `$`), matched in
 * linear time: a guest's pattern may be made to keep a backtracking matcher busy for ever.
 */

/** A line with a pattern of more than this is no filter that a person wrote. */
const MAX_PATTERN = 1000;
const MAX_DEPTH = 50;

type Test = (character: string) => boolean;
interface State {
  /** Where to go on reading such a character; or, without a test, for nothing. */
  test?: Test;
  /** Holds only there. */
  anchor?: 'begin' | 'end';
  next: State[];
}
interface Part {
  first: State;
  /** States whose `next` is still to be set. */
  open: State[];
}

/** @returns whether the pattern matches some part of the text; undefined where it is not understood */
export function patternMatches(pattern: string, text: string): boolean | undefined {
  if (pattern.length > MAX_PATTERN) return undefined;
  const parser = new Parser(pattern);
  const part = parser.whole();
  if (part === undefined) return undefined;
  const final: State = { next: [] };
  for (const state of part.open) state.next.push(final);

  let current = new Set<State>();
  for (let at = 0; at <= text.length; at++) {
    // A match may begin anywhere.
    follow(part.first, at, text.length, current);
    if (current.has(final)) return true;
    const character = text[at];
    const following = new Set<State>();
    if (character === undefined) break;
    for (const state of current) {
      if (state.test?.(character))
        for (const next of state.next) follow(next, at + 1, text.length, following);
    }
    if (following.has(final)) return true;
    current = following;
  }
  return false;
}

/** Collects a state with all that it leads to without reading. */
function follow(state: State, at: number, length: number, into: Set<State>): void {
  const rest = [state];
  for (let one = rest.pop(); one !== undefined; one = rest.pop()) {
    if (into.has(one)) continue;
    if (one.anchor === 'begin' && at !== 0) continue;
    if (one.anchor === 'end' && at !== length) continue;
    into.add(one);
    if (one.test === undefined) rest.push(...one.next);
  }
}

class Parser {
  private at = 0;

  constructor(private readonly pattern: string) {}

  whole(): Part | undefined {
    const part = this.alternatives(0);
    return part !== undefined && this.at === this.pattern.length ? part : undefined;
  }

  private alternatives(depth: number): Part | undefined {
    const parts: Part[] = [];
    do {
      const part = depth > MAX_DEPTH ? undefined : this.sequence(depth);
      if (part === undefined) return undefined;
      parts.push(part);
    } while (this.take('|'));
    return { first: { next: parts.map((part) => part.first) }, open: parts.flatMap((part) => part.open) };
  }

  private sequence(depth: number): Part | undefined {
    const first: State = { next: [] };
    let open = [first];
    while (this.at < this.pattern.length && !/[|)]/.test(this.pattern[this.at] ?? '')) {
      const part = this.repeated(depth);
      if (part === undefined) return undefined;
      for (const state of open) state.next.push(part.first);
      open = part.open;
    }
    return { first, open };
  }

  private repeated(depth: number): Part | undefined {
    let part = this.single(depth);
    while (part !== undefined && /[*+?]/.test(this.pattern[this.at] ?? '')) {
      const sign = this.pattern[this.at++];
      const around: State = { next: [part.first] };
      if (sign !== '?') for (const state of part.open) state.next.push(around);
      part = {
        first: sign === '+' ? part.first : around,
        open: sign === '?' ? [around, ...part.open] : [around],
      };
    }
    return part;
  }

  private single(depth: number): Part | undefined {
    if (this.take('(')) {
      const part = this.alternatives(depth + 1);
      return part !== undefined && this.take(')') ? part : undefined;
    }
    if (this.take('[')) return this.range();
    if (this.take('.')) return reading(() => true);
    if (this.take('^')) return anchored('begin');
    if (this.take('$')) return anchored('end');
    this.take('\\');
    const character = this.pattern[this.at++];
    return character === undefined ? undefined : reading((one) => one === character);
  }

  private range(): Part | undefined {
    const others = this.take('^');
    const ranges: [string, string][] = [];
    for (let begun = false; this.pattern[this.at] !== ']' || !begun; begun = true) {
      this.take('\\');
      const from = this.pattern[this.at++];
      if (from === undefined) return undefined;
      const isRange = this.pattern[this.at] === '-' && this.pattern[this.at + 1] !== ']';
      const to = isRange ? this.pattern[this.at + 1] : from;
      if (to === undefined) return undefined;
      if (isRange) this.at += 2;
      ranges.push([from, to]);
    }
    this.at++;
    return reading((one) => ranges.some(([from, to]) => one >= from && one <= to) !== others);
  }

  private take(character: string): boolean {
    if (this.pattern[this.at] !== character) return false;
    this.at++;
    return true;
  }
}

function reading(test: Test): Part {
  const state: State = { test, next: [] };
  return { first: state, open: [state] };
}

function anchored(anchor: 'begin' | 'end'): Part {
  const state: State = { anchor, next: [] };
  return { first: state, open: [state] };
}
