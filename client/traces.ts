import { type ClientInterceptors } from '@temporalio/client';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry/lib/client/index.js';
import { startTraces, type Traces } from '../host/traces/start';
import { lifeboatVersion } from '../host/version';

/**
 * Traces of a process that starts runs: they begin with who starts them. To be loaded by withTracePackages.
 * @param tell gets what is wrong with the collector
 */
export function clientTraces(tell: (line: string) => void): Traces & { interceptors: ClientInterceptors } {
  const traces = startTraces({ name: 'lifeboat-command', version: lifeboatVersion() }, tell);
  return { ...traces, interceptors: { workflow: [new OpenTelemetryWorkflowClientInterceptor()] } };
}
