import { TraceSettingsError } from './settings';

/** Packages that traces need, and nobody else does: optional peers of this one. */
const PACKAGES = [
  '@temporalio/interceptors-opentelemetry',
  '@opentelemetry/api',
  '@opentelemetry/context-async-hooks',
  '@opentelemetry/core',
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
];

/**
 * Loads what traces are made by, which need not be installed.
 * @param load calls `require` with a literal path
 * @throws TraceSettingsError where a package is missing
 */
export function withTracePackages<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'MODULE_NOT_FOUND') throw error;
    throw new TraceSettingsError(
      `OpenTelemetry's variables ask for traces, whose packages are not installed (${message.split('\n')[0]}); install them beside Lifeboat, in the versions that its package.json names: npm install ${PACKAGES.join(' ')}`,
    );
  }
}
