// Empties dist/, part of `npm pack`: the compiler leaves what sources of yesterday were compiled to, and it would be packed.
import { rmSync } from 'node:fs';
import { projectFolder } from '../bin/supported-node.mjs';

rmSync(`${projectFolder}dist`, { recursive: true, force: true });
