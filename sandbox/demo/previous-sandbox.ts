import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readSandboxConfig } from '../config';
import { sandboxDown, sandboxFile, sandboxStatus } from '../lifecycle';

/** A sandbox that the demo may not take: somebody else's, and up. */
export class SandboxInUseError extends Error {
  constructor() {
    super(
      'A sandbox is up that is not of a demo, and the demo needs an empty one; run "npx lifeboat sandbox down" first.',
    );
    this.name = 'SandboxInUseError';
  }
}

/** Says in a sandbox's directory that a demo made it, so that the next demo may delete it. */
const markerFile = (directory: string): string => join(directory, 'made-by-demo.json');

/**
 * Leaves an empty directory for the demo's sandbox. What an earlier demo left is deleted; a sandbox that was somebody
 * else's and is down is put aside.
 * @throws SandboxInUseError where it is up
 */
export async function claimSandbox(directory: string, say: (line: string) => void): Promise<void> {
  const ofDemo = existsSync(markerFile(directory));
  const { up } = await sandboxStatus({ directory });
  if (!ofDemo && (up || existsSync(sandboxFile(directory)))) throw new SandboxInUseError();
  if (ofDemo) {
    say(`deleting the sandbox of an earlier demo${up ? ', which is still up' : ''}`);
    await sandboxDown({ directory, forget: true });
  } else if (await readSandboxConfig(directory)) {
    // Its processes may have outlived it where it was not taken down but broken off.
    await sandboxDown({ directory });
    const aside = join(dirname(directory), `sandbox-before-demo-${Date.now()}`);
    say(`putting the sandbox that was here aside, to ${aside}`);
    await rename(directory, aside);
  }
  await mkdir(directory, { recursive: true });
  await writeFile(markerFile(directory), `${JSON.stringify({ startedAt: new Date().toISOString() })}\n`);
}
