import { printable } from './printable';

/** Characters of a message: what quotes a file of brackets would fill the terminal. */
const LONGEST_MESSAGE = 4000;

const cut = (text: string): string =>
  text.length <= LONGEST_MESSAGE ? text : `${text.slice(0, LONGEST_MESSAGE - 1)}…`;

/** Where in a plan file something is. Line and column count from 1. */
export interface PlanLocation {
  line: number;
  column: number;
}

/** Names a field the way a person would write it: `vms[1].dependsOn[0]`. */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

/**
 * A plan file that cannot be used. The message is one line that names file, line, column and field, and says what
 * to do, as in `plan.yaml:23:7 vms[1].dependsOn[0]: there is no VM "bd" in this plan; did you mean "db"?`
 */
export class PlanError extends Error {
  /** Path of the field that is wrong, empty where the file as a whole is. */
  readonly field: string;

  constructor(
    readonly file: string,
    readonly location: PlanLocation | undefined,
    path: readonly PropertyKey[],
    readonly problem: string,
  ) {
    const field = fieldPath(path);
    const place = location === undefined ? file : `${file}:${location.line}:${location.column}`;
    super(cut(printable(`${place}${field === '' ? '' : ` ${field}`}: ${problem}`)));
    this.name = 'PlanError';
    this.field = field;
  }
}

/** Something wrong at a field, before it is known where in the file that field stands. */
export interface PlanProblem {
  path: PropertyKey[];
  message: string;
  /** Whether the last part of the path is a key that should not be there: the key is shown, not its value. */
  atKey?: boolean;
}
