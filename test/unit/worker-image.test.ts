import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { WORKER_FLAGS } from '../../workers/node-flags';
import { deployTool, itWithDeployTools } from '../support/deploy-tools';

/** docker/worker.Dockerfile, which no container engine is here to build. */

const path = join(projectRoot(), 'docker/worker.Dockerfile');
const text = readFileSync(path, 'utf8');
const lines = text.replace(/\\\n\s*/g, '').split('\n');
/** Arguments of an instruction in the last stage, which is the image. */
const last = (instruction: string): string[] =>
  lines
    .slice(lines.findLastIndex((line) => line.startsWith('FROM ')))
    .filter((line) => line.startsWith(`${instruction} `))
    .map((line) => line.slice(instruction.length + 1));

describe('docker/worker.Dockerfile', () => {
  itWithDeployTools('has nothing that hadolint would say of it, which finds a mistake in a copy', () => {
    expect(deployTool('hadolint', [path])).toEqual({ code: 0, text: '' });
    const wrong = text.replace('WORKDIR /lifeboat', 'WORKDIR lifeboat');
    expect(deployTool('hadolint', ['-'], wrong).text).toContain('DL3000');
  });

  it('builds every stage from one image, of an exact version that is supported', () => {
    const { engines } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    const from = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1]);
    expect(from).toEqual(Array(3).fill('${NODE_IMAGE}'));
    const [, version = ''] = /^ARG NODE_VERSION=(\d+\.\d+\.\d+)$/m.exec(text) ?? [];
    const number = (of: string): number =>
      of.split('.').reduce((sofar, part) => sofar * 1000 + Number(part), 0);
    expect(number(version)).toBeGreaterThanOrEqual(number(engines.node.replace('>=', '')));
  });

  it('runs as nobody who may do anything, known by number, with a state that is its own', () => {
    expect(last('USER')).toEqual(['1000:1000']);
    expect(last('RUN').join()).toContain('chown node:node /var/lib/lifeboat');
  });

  it('takes the role as its command, and has the flags that workers want', () => {
    expect(JSON.parse(last('ENTRYPOINT')[0] ?? '')).toEqual([
      'node',
      ...WORKER_FLAGS,
      'bin/lifeboat.mjs',
      'worker',
    ]);
  });

  it('has what the script that installs an AWS proxy has', () => {
    const script = readFileSync(join(projectRoot(), 'deploy/cloudformation/install-aws-proxy.sh'), 'utf8');
    const packages = (line = ''): string[] =>
      line
        .replace(/.*--no-install-recommends/, '')
        .replace(/&&.*/, '')
        .trim()
        .split(/\s+/);
    const installed = packages(
      script
        .replace(/\\\n\s*/g, '')
        .split('\n')
        .find((line) => line.includes('awscli')),
    );
    const image = packages(last('RUN').find((line) => line.includes('apt-get install')));
    // The instance's own, which a container's host has.
    expect(installed.filter((name) => !image.includes(name))).toEqual(['awscli', 'logrotate']);
    expect(image.filter((name) => !installed.includes(name))).toEqual([]);
  });
});
