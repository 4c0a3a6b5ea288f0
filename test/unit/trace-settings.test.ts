import { createRequire } from 'node:module';
import { withTracePackages } from '../../host/traces/optional';
import { TraceSettingsError, wantsTraces } from '../../host/traces/settings';
import { withCallSpan } from '../../host/traces/call-spans';
import { SettingsError, workerSettings } from '../../workers/settings';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('traces', () => {
  it.each<[string, NodeJS.ProcessEnv, boolean]>([
    ['without variables', {}, false],
    ['with an endpoint', ENDPOINT, true],
    ['with an endpoint of traces', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c/v1/traces' }, true],
    ['with an exporter', { OTEL_TRACES_EXPORTER: 'otlp' }, true],
    ['with none', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, false],
    ['with a disabled SDK', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }, false],
    ['by HTTP', { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, true],
  ])('%s', (_, env, wanted) => expect(wantsTraces(env)).toBe(wanted));

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    [
      'another exporter',
      { OTEL_TRACES_EXPORTER: 'zipkin' },
      /OTEL_TRACES_EXPORTER is "zipkin"; .*"otlp" and "none"/,
    ],
    ['gRPC', { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /by HTTP \(http\/json\), to port 4318/],
  ])('refuses %s, also as a setting of a worker', (_, env, message) => {
    expect(() => wantsTraces(env)).toThrow(TraceSettingsError);
    expect(() => wantsTraces(env)).toThrow(message);
    const site = { AWS_REGION: 'eu-central-1', LIFEBOAT_REPOSITORY: 's3://bucket' };
    expect(() => workerSettings('control', { ...site, ...env })).toThrow(SettingsError);
    expect(workerSettings('control', site).traces).toBe(false);
    expect(workerSettings('control', { ...site, ...ENDPOINT }).traces).toBe(true);
  });

  it('says which packages to install where they are missing, and passes any other error on', () => {
    const missing = '@opentelemetry/not-there';
    const load = () => createRequire(__filename)(missing) as unknown;
    expect(() => withTracePackages(load)).toThrow(TraceSettingsError);
    expect(() => withTracePackages(load)).toThrow(/npm install @temporalio\/interceptors-opentelemetry/);
    const broken = () => {
      throw new TypeError('broken');
    };
    expect(() => withTracePackages(broken)).toThrow(new TypeError('broken'));
  });

  it('leave a call as it is where there are none', async () => {
    await expect(withCallSpan('ec2.RunInstances', {}, () => Promise.resolve(1))).resolves.toBe(1);
  });
});
