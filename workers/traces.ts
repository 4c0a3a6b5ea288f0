import {
  makeWorkflowExporter,
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry/lib/worker/index.js';
import { type WorkerOptions } from '@temporalio/worker';
import { startTraces } from '../host/traces/start';
import { lifeboatVersion } from '../host/version';

/** Traces of a worker's process. */
export interface WorkerTraces {
  sinks: NonNullable<WorkerOptions['sinks']>;
  activity: NonNullable<NonNullable<WorkerOptions['interceptors']>['activity']>;
  /** Sends what is left, for two seconds at most. */
  end(): Promise<void>;
}

/** Makes activities part of the traces, and takes the spans of workflows. To be loaded by withTracePackages. */
export function workerTraces(role: string): WorkerTraces {
  const { processor, resource, end } = startTraces(
    { name: `lifeboat-${role}`, version: lifeboatVersion() },
    (line) => console.error(line),
  );
  return {
    sinks: { exporter: makeWorkflowExporter(processor, resource) },
    activity: [
      (context) => ({
        inbound: new OpenTelemetryActivityInboundInterceptor(context),
        outbound: new OpenTelemetryActivityOutboundInterceptor(context),
      }),
    ],
    end,
  };
}
