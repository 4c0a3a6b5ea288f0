import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';

/** The policy of who runs the check. */
export const CHECK_POLICY = 'deploy/iam/aws-check.json';

interface Policy {
  Statement: { Action?: string | string[] }[];
}

/** Policies of deploy/iam that allow an action, the check's own first. */
export function policiesWith(action: string): string[] {
  const folder = join(projectRoot(), 'deploy', 'iam');
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => `deploy/iam/${file}`);
  const allowing = files.filter((file) => actionsOf(file).has(action));
  return [
    ...allowing.filter((file) => file === CHECK_POLICY),
    ...allowing.filter((file) => file !== CHECK_POLICY),
  ];
}

function actionsOf(file: string): Set<string> {
  const { Statement } = JSON.parse(readFileSync(join(projectRoot(), file), 'utf8')) as Policy;
  return new Set(Statement.flatMap(({ Action = [] }) => Action));
}
