import { type RunContext } from '../../plan/run';

/** A run of nobody's, for what only has to have one. */
export const RUN: RunContext = {
  plan: 'shop',
  digest: '0'.repeat(64),
  repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
  runId: '0199c0de-0000-7000-8000-000000000001',
  generation: 1,
};
