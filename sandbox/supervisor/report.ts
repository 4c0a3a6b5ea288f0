import { type SandboxConfig } from '../config';
import { readIfExists } from '../../host/read-if-exists';
import { sandboxPaths } from './processes';
import { type ProcessReport } from './supervised';

/** The supervisor's processes as it last reported them; empty where there never was one. */
export async function supervisorReport(config: SandboxConfig): Promise<ProcessReport[]> {
  return JSON.parse((await readIfExists(sandboxPaths(config).supervisorReport)) ?? '[]') as ProcessReport[];
}
