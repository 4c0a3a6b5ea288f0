import { type MetricGauge, type MetricMeter } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
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
 * Serves this process's metrics at `http://ADDRESS/metrics`, in Prometheus's format. To be called before anything else of Temporal's is
 * made, which would make a runtime without.
 * @throws SettingsError where nothing can listen there
 */
export function exportMetrics(address: string, role: string): Exporter {
  try {
    const { logger, telemetryOptions } = sdkLogging();
    Runtime.install({
      logger,
      telemetryOptions: {
        ...telemetryOptions,
        metrics: { attachServiceName: false, prometheus: { bindAddress: address } },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError([
      `LIFEBOAT_METRICS_ADDRESS must be an address that nothing else listens on (${address}: ${reason})`,
    ]);
  }
  const exporter = new Exporter(Runtime.instance().metricMeter);
  exporter.set(sample('lifeboat_worker_info', { role, version: lifeboatVersion() }, 1));
  return exporter;
}
