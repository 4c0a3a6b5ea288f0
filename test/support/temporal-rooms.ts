import { defaultPayloadConverter } from '@temporalio/common';
import { type TestWorkflowEnvironment } from '@temporalio/testing';

/** All that the server keeps of all workflows: as it is, and with its payloads decoded. */
export async function temporalRooms({
  client,
  namespace = 'default',
}: Pick<TestWorkflowEnvironment, 'client' | 'namespace'>): Promise<{ runs: string; attributes: string }> {
  let runs = '';
  let attributes = '';
  for await (const { workflowId, runId } of client.workflow.list()) {
    const execution = { workflowId, runId };
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const told = await client.workflowService.describeWorkflowExecution({ namespace, execution });
    runs += decoded(history.events);
    attributes += decoded(told);
  }
  return { runs, attributes };
}

/** Every text in it, payloads as what they hold. */
function decoded(value: unknown): string {
  if (typeof value === 'string') return `${value}\n`;
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('latin1')}\n`;
  if (typeof value !== 'object' || value === null) return '';
  if ('metadata' in value && 'data' in value)
    return `${JSON.stringify(defaultPayloadConverter.fromPayload(value as never)) ?? ''}\n`;
  return Object.values(value).map(decoded).join('');
}
