import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { temporal } from '@temporalio/proto';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { readHistory, type RunHistory } from '../../activities/control/evidence/history';
import { runOfWorkflow } from '../../workflows/run/ids';

const HISTORIES = join(__dirname, '../replay/histories');

/** A run that a real server has recorded, with its VMs, as the evidence reads it. @param scenario such as `failover-test` */
export async function recordedRun(
  scenario: string,
  vms = ['db', 'web'],
  version = '0.1.0',
): Promise<RunHistory> {
  const converter = loadDataConverter({});
  const read = (name: string) => {
    const bytes = gunzipSync(readFileSync(join(HISTORIES, version, `${name}.pb.gz`)));
    return readHistory(temporal.api.history.v1.History.decode(bytes).events, converter);
  };
  const run = await read(scenario);
  const children = [];
  for (const of of run.children) {
    const { vm } = runOfWorkflow(of.workflowId);
    const file = `${scenario}.${vm ?? ''}`;
    if (vm !== undefined && vms.includes(vm) && existsSync(join(HISTORIES, version, `${file}.pb.gz`)))
      children.push({ of, vm, history: await read(file) });
  }
  return { run, children };
}
