import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify, parse } from 'yaml';
import { z } from 'zod';
import { projectRoot } from '../../host/project-root';
import { METRICS } from '../../workers/metrics/catalogue';
import { dashboard, dashboardMetrics, dashboardQueries, metricNames } from '../support/monitoring-files';
import { itWithPromtool, promtool } from '../support/promtool';

const file = (path: string): string => join(projectRoot(), path);
const read = (path: string): string => readFileSync(file(path), 'utf8');
const names = Object.keys(METRICS).sort();
const ownNames = (expression: string): string[] => metricNames(expression, 'lifeboat_');

const rules = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({
            alert: z.string(),
            expr: z.string(),
            labels: z.object({ severity: z.enum(['warning', 'critical']) }),
            annotations: z.strictObject({ summary: z.string().min(20), todo: z.string().min(20) }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(read('deploy/prometheus/alerts.yml')))
  .groups.flatMap((group) => group.rules);

describe("Prometheus' files in deploy/", () => {
  itWithPromtool('hold, by promtool', () => {
    expect(promtool(['check', 'config', file('deploy/prometheus/prometheus.yml')])).toMatchObject({
      code: 0,
    });
    expect(promtool(['check', 'rules', file('deploy/prometheus/alerts.yml')])).toMatchObject({ code: 0 });
  });

  itWithPromtool('alert where they should, and nowhere else', () => {
    const { code, text } = promtool(['test', 'rules', file('deploy/prometheus/alerts.test.yml')]);
    expect(text).toContain('SUCCESS');
    expect(code).toBe(0);
  });

  it('have a test of each alert that fires, and one where it does not', () => {
    const { tests } = z
      .object({
        tests: z.array(
          z.object({
            alert_rule_test: z
              .array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()).default([]) }))
              .default([]),
          }),
        ),
      })
      .parse(parse(read('deploy/prometheus/alerts.test.yml'), { maxAliasCount: 100 }));
    const asked = tests.flatMap((one) => one.alert_rule_test);
    const firing = new Set(
      asked.filter(({ exp_alerts }) => exp_alerts.length > 0).map((one) => one.alertname),
    );
    expect([...firing].sort()).toEqual(rules.map(({ alert }) => alert).sort());
    // That none fires is asked of all of them at once, where all is well.
    expect(read('deploy/prometheus/alerts.test.yml')).toContain('count(ALERTS)');
  });

  it('know no metric that workers do not have', () => {
    for (const { alert, expr } of rules)
      expect([alert, ownNames(expr).filter((name) => !names.includes(name))]).toEqual([alert, []]);
    const series = read('deploy/prometheus/alerts.test.yml').matchAll(/series: '(lifeboat_\w+)/g);
    for (const [, name] of series) expect(names).toContain(name);
  });
});

describe("Grafana's dashboard", () => {
  it('has panels of their own ids and places, each with a query', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = new Set<string>();
    for (const { title, type, gridPos, targets, datasource } of dashboard.panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, x, y, cells.has(`${x} ${y}`)]).toEqual([title, x, y, false]);
          cells.add(`${x} ${y}`);
        }
      expect([title, targets.length > 0, datasource !== undefined]).toEqual([
        title,
        type !== 'row',
        type !== 'row',
      ]);
    }
  });

  it('knows its variables, and no metric that workers do not have', () => {
    const variables = dashboard.templating.list.map(({ name }) => name);
    for (const { title, expr } of dashboardQueries) {
      const used = [...expr.matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name);
      const unknown = used.filter((name) => !variables.includes(name) && !name.startsWith('__'));
      expect([title, unknown]).toEqual([title, []]);
      expect([title, ownNames(expr).filter((name) => !names.includes(name))]).toEqual([title, []]);
    }
  });

  it('shows every metric', () => {
    expect(dashboardMetrics('lifeboat_')).toEqual(names);
  });

  itWithPromtool('asks in PromQL', () => {
    const directory = mkdtempSync(join(tmpdir(), 'lifeboat-dashboard-'));
    try {
      const asRules = dashboardQueries.map(({ expr }, n) => ({
        record: `query_${n}`,
        expr: expr.replaceAll('$plan', '.*').replaceAll('$__rate_interval', '5m'),
      }));
      const path = join(directory, 'rules.yml');
      writeFileSync(path, stringify({ groups: [{ name: 'dashboard', rules: asRules }] }));
      expect(promtool(['check', 'rules', path])).toMatchObject({ code: 0 });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('docs/monitoring.md', () => {
  const text = read('docs/monitoring.md');

  it('has each metric with its labels', () => {
    const rows = [...text.matchAll(/^\| `(lifeboat_\w+)` +\| (.*?) *\| (.*?) *\|/gm)].map(
      ([, name = '', labels = '']) => [name, labels.replaceAll('`', '').split(', ').sort()],
    );
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(Object.entries(METRICS).map(([name, { labels }]) => [name, [...labels].sort()])),
    );
  });

  it('has each alert', () => {
    const rows = [...text.matchAll(/^\| `(Lifeboat\w+)` +\|/gm)].map(([, name]) => name);
    expect(rows.sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });
});
