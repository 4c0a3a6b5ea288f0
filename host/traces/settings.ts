/** What OpenTelemetry's standard variables say of traces ("Environment Variable Specification", OpenTelemetry). The exporter reads the rest of them itself. */

/** Variables that ask for what is not there. */
export class TraceSettingsError extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'TraceSettingsError';
  }
}

/**
 * Whether traces are wanted: only where somebody says where they go. OTEL_TRACES_EXPORTER alone means the exporter's own default,
 * http://localhost:4318.
 * @throws TraceSettingsError
 */
export function wantsTraces(env: NodeJS.ProcessEnv): boolean {
  const { OTEL_TRACES_EXPORTER: exporter = '', OTEL_SDK_DISABLED: disabled = '' } = env;
  if (disabled.toLowerCase() === 'true' || exporter === 'none') return false;
  const named = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '';
  if (exporter === '' && named === '') return false;
  if (exporter !== '' && exporter !== 'otlp')
    throw new TraceSettingsError(
      `OTEL_TRACES_EXPORTER is ${JSON.stringify(exporter)}; Lifeboat knows "otlp" and "none"`,
    );
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL ?? '';
  if (protocol === 'grpc')
    throw new TraceSettingsError(
      'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"; Lifeboat sends traces by HTTP (http/json), to port 4318 of a collector as a rule',
    );
  return true;
}
