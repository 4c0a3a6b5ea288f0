/**
 * Link to a run in Temporal's Web UI, or undefined where nobody said where that is.
 * @param webUi address of the Web UI, such as `http://127.0.0.1:8233`
 */
export function runLink(
  webUi: string | undefined,
  namespace: string,
  run: { workflowId: string; runId: string },
): string | undefined {
  if (webUi === undefined || webUi === '') return undefined;
  const parts = ['namespaces', namespace, 'workflows', run.workflowId, run.runId].map(encodeURIComponent);
  return `${webUi.replace(/\/+$/, '')}/${parts.join('/')}`;
}
