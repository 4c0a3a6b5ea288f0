/** Makes a span of a call where traces are on. */
export type CallSpans = <T>(
  name: string,
  attributes: Record<string, string>,
  call: () => Promise<T>,
) => Promise<T>;

let spans: CallSpans | undefined;

/** From now on, calls have spans; see start.ts. */
export function haveCallSpans(made: CallSpans | undefined): void {
  spans = made;
}

/** A call with a span around it, within the one that is under way; without traces, the call and nothing else. */
export const withCallSpan: CallSpans = (name, attributes, call) =>
  spans === undefined ? call() : spans(name, attributes, call);
