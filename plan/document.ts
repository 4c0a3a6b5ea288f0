import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import { PlanError, type PlanLocation, type PlanProblem } from './plan-error';

/** A plan of 200 VMs takes some 100 KiB; whatever is larger than 1 MiB is no plan. */
const MAX_FILE_BYTES = 1024 * 1024;

/** How many nodes aliases may stand for: enough to share settings between VMs, too few for an "alias bomb". */
const MAX_ALIASES = 100;

/** A YAML plan file that has been read, and that can tell where in it a field stands. */
export interface PlanDocument {
  file: string;
  /** The content as plain values, not yet validated. */
  value: unknown;
  /** The problem as an error that names file, line, column and field. */
  error(problem: PlanProblem): PlanError;
  /** Position of a problem; offsets order the problems of a file. */
  offset(problem: PlanProblem): number;
}

/**
 * Reads a plan file.
 * @throws PlanError where it cannot be read, is too large, or is not one YAML document
 */
export async function readPlanDocument(file: string): Promise<PlanDocument> {
  return parsePlanDocument(file, await readText(file));
}

/** @throws PlanError where `text` is not one YAML document */
export function parsePlanDocument(file: string, text: string): PlanDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });

  const locate = (offset: number): PlanLocation => {
    const { line, col } = lines.linePos(offset);
    // The counter answers line 0 for a file without any line.
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) {
    const offset = fault.pos[0];
    throw new PlanError(
      file,
      locate(offset),
      pathAt(document, offset),
      `is not valid YAML: ${fault.message}`,
    );
  }

  const offset = (problem: PlanProblem): number => offsetOf(document, problem);
  const error = (problem: PlanProblem): PlanError =>
    new PlanError(file, locate(offset(problem)), problem.path, problem.message);

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    throw error({
      path: [],
      message: `its aliases (*name) cannot be resolved: ${cause.message}; write the values out`,
    });
  }
  if (value === null || value === undefined)
    throw error({ path: [], message: 'is empty; a plan begins with "name: …"' });
  return { file, value, error, offset };
}

async function readText(file: string): Promise<string> {
  const fail = (problem: string): PlanError => new PlanError(file, undefined, [], problem);
  // Not to be blocked for ever by a pipe that somebody named as a plan.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') throw fail('there is no such file; check the path');
      if (cause.code === 'EACCES') throw fail('may not be read by this user; check its permissions');
      throw fail(`cannot be opened (${cause.code ?? cause.message})`);
    },
  );
  try {
    const { size } = await handle.stat().then((stat) => {
      if (!stat.isFile()) throw fail('is not a regular file; name the plan file itself, such as plan.yaml');
      return stat;
    });
    if (size > MAX_FILE_BYTES) throw fail(`has ${size} bytes; a plan has at most ${MAX_FILE_BYTES}`);
    const bytes = await handle.readFile();
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw fail('is not UTF-8 text; save it as UTF-8');
    }
  } finally {
    await handle.close();
  }
}

/** Offset of what a problem is about, or of the nearest thing around it that is in the file. */
function offsetOf(document: Document, problem: PlanProblem): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, part] of problem.path.entries()) {
    const container = isAlias(node) ? node.resolve(document) : node;
    let key: unknown;
    let next: unknown;
    if (isMap(container)) {
      const pair = container.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(part),
      );
      [key, next] = [pair?.key, pair?.value];
    } else if (isSeq(container) && typeof part === 'number') {
      next = container.items[part];
    }
    const last = depth === problem.path.length - 1;
    const start = last && problem.atKey === true ? startOf(key) : startOf(next);
    const found = start ?? startOf(key);
    if (found === undefined) return offset;
    offset = found;
    node = next;
  }
  return offset;
}

/** Field that stands at an offset, as far as the file could be read. */
function pathAt(document: Document, offset: number): PropertyKey[] {
  const path: PropertyKey[] = [];
  let node: unknown = document.contents;
  for (;;) {
    const step = childAt(node, offset);
    if (step === undefined) return path;
    path.push(step.part);
    node = step.node;
  }
}

function childAt(node: unknown, offset: number): { part: PropertyKey; node: unknown } | undefined {
  if (isMap(node)) {
    // The last entry that begins at or before the offset.
    const pair = node.items.findLast((item) => (startOf(item.key) ?? Infinity) <= offset);
    return isPair(pair) && isScalar(pair.key)
      ? { part: String(pair.key.value), node: pair.value }
      : undefined;
  }
  if (isSeq(node)) {
    const index = node.items.findLastIndex((item) => (startOf(item) ?? Infinity) <= offset);
    return index < 0 ? undefined : { part: index, node: node.items[index] };
  }
  return undefined;
}

function startOf(node: unknown): number | undefined {
  if (!isNode(node)) return undefined;
  // A value that is missing (`vms:` and nothing after it) has an empty range, which may be on a later line.
  if (isScalar(node) && node.range !== undefined && node.range !== null && node.range[0] === node.range[1])
    return undefined;
  return (node as Node).range?.[0];
}
