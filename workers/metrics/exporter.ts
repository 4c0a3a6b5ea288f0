import { type MetricGauge, type MetricMeter } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import { messageOf } from '../../host/message-of';
import { lifeboatVersion } from '../../host/version';
import { sdkLogging } from '../log';
import { SettingsError } from '../settings';
import { type CounterName, type GaugeName, type LabelsOf, METRICS, sample, type Sample } from './catalogue';

/** Where Lifeboat's metrics go: to the endpoint that Temporal's own are served by. */
export class Exporter {
  private readonly gauges = new Map<GaugeName, MetricGauge>();

  constructor(private readonly meter: MetricMeter) {}

  /**
   * @param by a whole number
   */
  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by: number): void {
    this.meter.createCounter(name, '', METRICS[name].help).add(by, labels);
  }

  /** A value of NaN takes back what was said: a series cannot be removed, and no comparison with NaN holds in PromQL. */
  set({ name, labels, value }: Sample): void {
    let gauge = this.gauges.get(name);
    if (gauge === undefined) {
      gauge = this.meter.createGauge(name, 'float', '', METRICS[name].help);
      this.gauges.set(name, gauge);
    }
    gauge.set(value, labels);
  }
}

/**
 * Installs Temporal's runtime; with an address it serves this process's metrics at `http://ADDRESS/metrics`, in Prometheus's format. To be
 * called before anything else of Temporal's is made, which would make a runtime without.
 * @returns undefined without an address
 * @throws SettingsError where nothing can listen there
 */
export function installRuntime(address: string | undefined, role: string): Exporter | undefined {
  const { logger, telemetryOptions } = sdkLogging();
  if (address === undefined) {
    Runtime.install({ logger, telemetryOptions });
    return undefined;
  }
  try {
    Runtime.install({
      logger,
      telemetryOptions: {
        ...telemetryOptions,
        metrics: { attachServiceName: false, prometheus: { bindAddress: address } },
      },
    });
  } catch (error) {
    throw new SettingsError([
      `LIFEBOAT_METRICS_ADDRESS must be an address that nothing else listens on (${address}: ${messageOf(error)})`,
    ]);
  }
  const exporter = new Exporter(Runtime.instance().metricMeter);
  exporter.set(sample('lifeboat_worker_info', { role, version: lifeboatVersion() }, 1));
  return exporter;
}
