import { runCli } from '../../cli/program';
import { testIo } from '../unit/cli-io';

/** `lifeboat aws check PLAN --with-test-resources` in a process of its own. */
export async function main([plan = '']: string[]): Promise<void> {
  const { io } = testIo(process.env, process.cwd());
  process.exitCode = await runCli(['aws', 'check', plan, '--with-test-resources', '--yes'], io);
}
