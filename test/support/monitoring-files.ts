import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { projectRoot } from '../../host/project-root';

const target = z.object({ refId: z.string(), expr: z.string().min(1), legendFormat: z.string() });
const panel = z.object({
  id: z.number().int().positive(),
  type: z.enum(['row', 'stat', 'timeseries', 'bargauge']),
  title: z.string().min(1),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number().positive(), h: z.number().positive() }),
  datasource: z.object({ type: z.literal('prometheus'), uid: z.literal('${datasource}') }).optional(),
  targets: z.array(target).default([]),
});
const schema = z.object({
  title: z.literal('Lifeboat'),
  uid: z.string(),
  schemaVersion: z.number().int().min(36),
  templating: z.object({ list: z.array(z.object({ name: z.string(), type: z.string() })) }),
  panels: z.array(panel),
});

/** Grafana's dashboard of Lifeboat. */
export const dashboard = schema.parse(
  JSON.parse(readFileSync(join(projectRoot(), 'deploy/grafana/lifeboat.json'), 'utf8')),
);

/** What its panels ask for. */
export const dashboardQueries = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => ({ title, expr })),
);

/** Names of metrics in an expression that begin so, in order. */
export const metricNames = (expression: string, prefix: string): string[] =>
  [...new Set(expression.match(new RegExp(`\\b${prefix}[a-z_]+`, 'g')) ?? [])].sort();

/** Names of metrics that the dashboard asks for. */
export const dashboardMetrics = (prefix: string): string[] =>
  metricNames(dashboardQueries.map(({ expr }) => expr).join('\n'), prefix);
