import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, copyFile, mkdir, realpath, rename, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { projectRoot } from '../../host/project-root';
import { VERSIONED_BUNDLE } from '../../workers/bundle-name';
import { eventually } from './eventually';

/** Not needed by a control worker. */
const LEFT_OUT = /^(test|bench|\.tsbuildinfo|workflow-bundle.*)$/;

/**
 * Another installation, whose failovers take a step more than this one's: what one of them has begun, the other cannot go on with.
 * @returns its `dist`
 */
export async function changedInstallation(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  // The bundler goes by real paths.
  const root = await realpath(directory);
  const [from, dist] = [join(projectRoot(), 'dist'), join(root, 'dist')];
  await cp(from, dist, {
    recursive: true,
    filter: (path) => !LEFT_OUT.test(relative(from, path).split('/')[0] ?? ''),
  });
  await copyFile(join(projectRoot(), 'package.json'), join(root, 'package.json'));
  const workflows = join(dist, 'workflows');
  await rename(join(workflows, 'failover.js'), join(workflows, 'failover-as-it-was.js'));
  await writeFile(
    join(workflows, 'failover.js'),
    `const { sleep } = require('@temporalio/workflow');
     const { failover } = require('./failover-as-it-was');
     exports.failover = async (request) => {
       await sleep(1);
       return failover(request);
     };\n`,
  );
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(workflows, 'versioned.js'),
    logger: new DefaultLogger('ERROR'),
  });
  await writeFile(join(dist, VERSIONED_BUNDLE), code);
  return dist;
}

/** A process that runs a worker. */
export interface ControlProcess {
  /** Waits for a line of its output. */
  says(text: RegExp): Promise<RegExpMatchArray>;
  /** SIGKILL. @returns when it is gone */
  kill(): Promise<void>;
}

export function startControl(dist: string, env: NodeJS.ProcessEnv, role = 'control'): ControlProcess {
  const child: ChildProcess = spawn(process.execPath, [join(dist, 'cli/main.js'), 'worker', role], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (data: Buffer) => (said = `${said}${data.toString()}`.slice(-10_000)));
  return {
    says: (text) =>
      eventually(60, () => {
        const found = said.match(text);
        if (found === null) throw new Error(`It said: ${said}`);
        return Promise.resolve(found);
      }),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}
