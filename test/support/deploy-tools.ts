import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What judges deploy/ and docker/: DEPLOY_TOOLS, else the environment that set-up made (setup/deploy-tools.mjs). */
const DIRECTORY = process.env.DEPLOY_TOOLS ?? resolve('.lifeboat/tools/deploy');

/** Tests by these tools: skipped, and counted so, where they are not there. */
export const itWithDeployTools = existsSync(join(DIRECTORY, 'bin/cfn-lint')) ? it : it.skip;

/** @returns exit code, and all that the tool printed */
export function deployTool(
  name: 'cfn-lint' | 'hadolint' | 'shellcheck' | 'python',
  args: string[],
  input = '',
): { code: number | null; text: string } {
  const { status, stdout, stderr, error } = spawnSync(join(DIRECTORY, 'bin', name), args, {
    encoding: 'utf8',
    input,
  });
  if (error !== undefined) throw error;
  return { code: status, text: stdout + stderr };
}
