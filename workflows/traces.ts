import * as otel from '@opentelemetry/api';
import {
  OpenTelemetryInboundInterceptor,
  OpenTelemetryInternalsInterceptor,
  OpenTelemetryOutboundInterceptor,
  SpanName,
} from '@temporalio/interceptors-opentelemetry/lib/workflow';
import {
  extractContextFromHeaders,
  headersWithContext,
} from '@temporalio/interceptors-opentelemetry/lib/instrumentation';
import {
  ContinueAsNew,
  getRandomStream,
  workflowInfo,
  type WorkflowInboundCallsInterceptor,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

/**
 * Traces of workflows, by the SDK's interceptors, but for one thing: a call gives back the very promise that it got. The SDK's own wait
 * for it, so that what goes on behind a step goes on some turns later; a run of several VMs then orders its commands otherwise, and
 * could not be replayed where traces were switched on or off while it was under way (decision 53). An entry of a bundle of its own.
 */

class Inbound extends OpenTelemetryInboundInterceptor {
  override execute: NonNullable<WorkflowInboundCallsInterceptor['execute']> = (input, next) =>
    inSpan(
      this.tracer,
      `${SpanName.WORKFLOW_EXECUTE}:${workflowInfo().workflowType}`,
      () => next(input),
      extractContextFromHeaders(input.headers),
    );
  override handleSignal: NonNullable<WorkflowInboundCallsInterceptor['handleSignal']> = (input, next) =>
    next(input);
  override handleUpdate: NonNullable<WorkflowInboundCallsInterceptor['handleUpdate']> = (input, next) =>
    next(input);
  override handleQuery: NonNullable<WorkflowInboundCallsInterceptor['handleQuery']> = (input, next) =>
    next(input);
  override validateUpdate: NonNullable<WorkflowInboundCallsInterceptor['validateUpdate']> = (input, next) =>
    next(input);
}

type Outbound = Required<WorkflowOutboundCallsInterceptor>;

class QuietOutbound extends OpenTelemetryOutboundInterceptor {
  override scheduleActivity: Outbound['scheduleActivity'] = (input, next) =>
    inSpan(this.tracer, `${SpanName.ACTIVITY_START}:${input.activityType}`, () =>
      next({ ...input, headers: headersWithContext(input.headers) }),
    );
  override startChildWorkflowExecution: Outbound['startChildWorkflowExecution'] = (input, next) =>
    inSpan(this.tracer, `${SpanName.CHILD_WORKFLOW_START}:${input.workflowType}`, () =>
      next({ ...input, headers: headersWithContext(input.headers) }),
    );
  override continueAsNew: Outbound['continueAsNew'] = (input, next) =>
    next({ ...input, headers: headersWithContext(input.headers) });
  override signalWorkflow: Outbound['signalWorkflow'] = (input, next) => next(input);
  override scheduleLocalActivity: Outbound['scheduleLocalActivity'] = (input, next) => next(input);
  override startNexusOperation: Outbound['startNexusOperation'] = (input, next) => next(input);
}

/** Ids of spans are random, and take nothing of the numbers that the run itself may ask for. */
const drawn = <T>(draw: () => T): T => getRandomStream('lifeboat-traces').with(draw);

/** The call within a span that ends when its promise does. @returns the call's own promise */
function inSpan<T>(
  tracer: otel.Tracer,
  name: string,
  call: () => Promise<T>,
  parent = otel.context.active(),
): Promise<T> {
  const span = drawn(() => tracer.startSpan(name, {}, parent));
  const promise = otel.context.with(otel.trace.setSpan(parent, span), call);
  promise.then(
    () => span.end(),
    (error: unknown) => {
      if (!(error instanceof ContinueAsNew))
        span.setStatus({ code: otel.SpanStatusCode.ERROR, message: (error as Error).name });
      span.end();
    },
  );
  return promise;
}

export const interceptors = (): WorkflowInterceptors => ({
  inbound: [new Inbound()],
  outbound: [new QuietOutbound()],
  internals: [new OpenTelemetryInternalsInterceptor()],
});
