/**
 * Time for one workflow task of a plan's run; 10 seconds by itself, 120 at most (`workflowTaskTimeout`, Temporal). A worker that has not the run
 * in memory, since it was started again, replays all of it within one task: a failover of 1,000 VMs, with 10,233 events, took it 8 to 12 s on
 * cores that other work kept full (docs/performance.md), and a task that is late begins anew, for ever. A worker that dies within a
 * task, which takes milliseconds otherwise, keeps the run waiting for so long.
 */
export const TASK_TIMEOUT = '30 seconds';
