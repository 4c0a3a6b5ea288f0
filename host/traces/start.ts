import { setTimeout as sleep } from 'node:timers/promises';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { envDetectorSync, Resource } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { haveCallSpans } from './call-spans';

/** Milliseconds in which the same trouble with the collector is told once. */
const TELL_EVERY_MS = 600_000;
/** Milliseconds that whoever ends waits for what is still to be sent. */
const LAST_SEND_MS = 2000;

/** Traces that go to a collector. */
export interface Traces {
  /** Takes spans that have ended, and sends them by and by. Never waits, never throws. */
  processor: SpanProcessor;
  resource: Resource;
  /** Sends what is left, for two seconds at most. */
  end(): Promise<void>;
}

/**
 * Sends traces to where OpenTelemetry's variables say, from this process on. A collector that is away loses its spans, and holds nobody up.
 * @param service what the process is, where OTEL_SERVICE_NAME does not say
 * @param tell gets what is wrong with the collector, now and then
 */
export function startTraces(
  service: { name: string; version: string },
  tell: (line: string) => void,
): Traces {
  let toldAt = -Infinity;
  const notSent = (problem: unknown): void => {
    if (performance.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = performance.now();
    tell(`Traces do not get to the collector: ${messageOf(problem)}`);
  };
  setGlobalErrorHandler(notSent);
  // What the environment says of the service goes before what we say.
  const resource = new Resource({
    'service.name': service.name,
    'service.version': service.version,
  }).merge(envDetectorSync.detect() as Resource);
  const processor = new BatchSpanProcessor(new OTLPTraceExporter());
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  provider.register({
    contextManager: new AsyncLocalStorageContextManager().enable(),
    propagator: new W3CTraceContextPropagator(),
  });
  const tracer = trace.getTracer('lifeboat');
  haveCallSpans((name, attributes, call) =>
    tracer.startActiveSpan(name, { kind: SpanKind.CLIENT, attributes }, async (span) => {
      try {
        return await call();
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).name });
        throw error;
      } finally {
        span.end();
      }
    }),
  );
  return {
    processor,
    resource,
    async end() {
      haveCallSpans(undefined);
      const ending = new AbortController();
      const late = sleep(LAST_SEND_MS, undefined, { signal: ending.signal, ref: false });
      const sent = provider.shutdown().catch(notSent);
      await Promise.race([sent, late]);
      ending.abort();
      await late.catch(() => undefined);
      for (const global of [trace, context, propagation]) global.disable();
    },
  };
}

const messageOf = (problem: unknown): string =>
  problem instanceof Error
    ? problem.message
    : typeof problem === 'string'
      ? problem
      : JSON.stringify(problem);
