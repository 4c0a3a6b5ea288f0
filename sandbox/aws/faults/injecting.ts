import { setTimeout as sleep } from 'node:timers/promises';
import { AwsError } from '../wire/errors';
import { type Call, ConnectionResetError, type EndpointOptions } from '../wire/endpoint';
import { afflicting } from './afflicted-work';
import { Creations, notThereYet } from './consistency';
import { type FaultRule } from './rule';
import { RuleFile } from './rule-file';
import { TokenBucket, tooFast } from './throttling';

type Intercept = NonNullable<EndpointOptions['intercept']>;
type Handle = () => Promise<object>;

/** What a rule remembers in this process; its strikes alone are kept over a restart. */
interface RuleMemory {
  seen: number;
  random: () => number;
  bucket?: TokenBucket;
}

/** Lets calls fail by the rules in the endpoint's directory; without a file there it does nothing but look for one. */
export function injecting(directory: string, log: (message: string, error: unknown) => void): Intercept {
  const file = new RuleFile(directory, log);
  const memories = new Map<string, RuleMemory>();
  const creations = new Creations();

  function memoryOf({ name, seed, fault }: FaultRule): RuleMemory {
    let memory = memories.get(name);
    if (memory === undefined) {
      memory = { seen: 0, random: seededRandom(seed ?? 1) };
      if (fault.kind === 'throttle') memory.bucket = new TokenBucket(fault.perSecond, fault.burst);
      memories.set(name, memory);
    }
    return memory;
  }

  function strikes(rule: FaultRule, call: Call): boolean {
    if (!matches(rule, call)) return false;
    const memory = memoryOf(rule);
    if (memory.seen++ < (rule.skip ?? 0)) return false;
    if (file.strikes(rule.name) >= (rule.times ?? Infinity)) return false;
    if (rule.probability !== undefined && memory.random() >= rule.probability) return false;
    if (memory.bucket !== undefined) {
      if (!memory.bucket.has()) return true;
      memory.bucket.take();
      return false;
    }
    const { fault } = rule;
    return (
      fault.kind !== 'eventual-consistency' ||
      call.operation.startsWith('Describe') ||
      creations.newIdIn(call.operation, call.input, fault.seconds) !== undefined
    );
  }

  return (call, handle) => {
    const made: Handle = async () => {
      const output = await handle();
      creations.note(call.operation, output);
      return output;
    };
    return file.current().reduceRight<Handle>((inner, rule) => {
      return () => {
        if (!strikes(rule, call)) return inner();
        file.strike(rule.name);
        return suffer(rule, call, inner, creations);
      };
    }, made)();
  };
}

function matches(rule: FaultRule, { service, operation, input }: Call): boolean {
  if (rule.services !== undefined && !rule.services.includes(service)) return false;
  if (rule.operations !== undefined && !rule.operations.includes(operation)) return false;
  return rule.matches === undefined || (JSON.stringify(input) ?? '').includes(rule.matches);
}

/** One call as its fault would have it. */
async function suffer(rule: FaultRule, call: Call, handle: Handle, creations: Creations): Promise<object> {
  const { fault } = rule;
  switch (fault.kind) {
    case 'error':
      if (fault.carriedOut) await dropped(handle);
      throw new AwsError(fault.code, fault.message ?? `by the rule "${rule.name}"`, fault.status);
    case 'reset':
      if (fault.carriedOut) await dropped(handle);
      throw new ConnectionResetError();
    case 'slow':
      await sleep(fault.milliseconds);
      return handle();
    case 'throttle':
      throw tooFast(call.service, call.operation);
    case 'eventual-consistency': {
      const id = creations.newIdIn(call.operation, call.input, fault.seconds);
      if (id !== undefined) throw notThereYet(call.service, id);
      return creations.without(await handle(), fault.seconds);
    }
    case 'resource-error':
      return afflicting({ extraSeconds: 0, fails: true }, handle);
    case 'stuck':
      return afflicting({ extraSeconds: fault.seconds, fails: false }, handle);
    case 'damaged-answer': {
      const output = (await handle()) as { Body?: AsyncIterable<Uint8Array> };
      return output.Body === undefined ? output : { ...output, Body: damaged(output.Body, fault.how) };
    }
  }
}

/** Carries a call out for nobody; an answer with a body would be a file left open. */
async function dropped(handle: Handle): Promise<void> {
  const { Body } = (await handle()) as { Body?: AsyncIterable<Uint8Array> };
  if (Body !== undefined) for await (const piece of Body) void piece;
}

async function* damaged(
  body: AsyncIterable<Uint8Array>,
  how: 'altered' | 'short',
): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const piece of body) {
    if (first && how === 'short') {
      yield piece.subarray(0, Math.floor(piece.length / 2));
      throw new ConnectionResetError();
    }
    if (first && piece.length > 0) {
      const copy = Uint8Array.from(piece);
      const at = Math.floor(copy.length / 2);
      copy[at] = (copy[at] ?? 0) ^ 1;
      yield copy;
    } else yield piece;
    first = false;
  }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
