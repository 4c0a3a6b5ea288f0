import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import {
  type AwsProxyActivities,
  type AwsProxyHostActivities,
  type AwsProxyPulseActivities,
} from '../../activities/aws-proxy/contract';
import { type AwsProxyAnswerActivities, type BackupProxyAnswerActivities } from '../../activities/answers';
import { type BackupProxyActivities } from '../../activities/backup-proxy/contract';
import { type ControlActivities } from '../../activities/control/contract';
import { type NoticeActivities } from '../../activities/control/notices/contract';
import { priority } from './priority';
import { profiles, type ProfileName } from './profiles';
import { noted, waitsForCancelled } from './settling';
import {
  AWS_PROXY_COPY_QUEUE,
  AWS_PROXY_QUEUE,
  awsProxyAnswerQueue,
  BACKUP_PROXY_ANSWER_QUEUE,
  BACKUP_PROXY_QUEUE,
  CONTROL_QUEUE,
  NOTICE_QUEUE,
  workerAnswerQueue,
} from '../../activities/task-queues';

/** How an activity is run, and what it is called in the Web UI. */
interface Step {
  profile: ProfileName;
  label: string;
  taskQueue?: string;
}
type Steps<A> = Record<keyof A, Step>;

/** How long something may lie in its queue, instead of what its profile says; undefined is for as long as it takes. */
export type Queueing = Pick<ActivityOptions, 'scheduleToStartTimeout'>;

/** The input of any activity: the parts of it that name what it works on, for its label. */
interface Subject {
  vm?: string;
  diskKey?: string;
  disk?: { key: string };
  instanceType?: string;
}

function label(step: Step, input: Subject | undefined): string {
  const disk = input?.diskKey ?? input?.disk?.key;
  const subject = [input?.vm, disk].filter((part) => part !== undefined).join('/');
  return [step.label, subject, input?.instanceType].filter(Boolean).join(' · ');
}

/** Activities that run by their step's profile on their task queue, each labelled with what it works on. */
function activitiesOn<A>(taskQueue: string, steps: Steps<A>, queueing: Queueing = {}): A {
  return Object.fromEntries(
    (Object.entries(steps) as [keyof A & string, Step][]).map(([name, step]) => [
      name,
      (input?: Subject) => {
        const { [name]: run } = proxyActivities<Record<string, (input?: Subject) => Promise<unknown>>>({
          ...profiles[step.profile],
          ...queueing,
          taskQueue: step.taskQueue ?? taskQueue,
          summary: label(step, input),
          priority: priority({ first: step.profile === 'ready' }),
          cancellationType: waitsForCancelled()
            ? ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
            : ActivityCancellationType.TRY_CANCEL,
        });
        return noted((run as (input?: Subject) => Promise<unknown>)(input));
      },
    ]),
  ) as A;
}

export const control = activitiesOn<ControlActivities>(CONTROL_QUEUE, {
  loadPlan: { profile: 'call', label: 'load the DR plan' },
  takePlanState: { profile: 'call', label: "take the plan's state" },
  movePlanState: { profile: 'call', label: "move the plan's state on" },
  recordFence: { profile: 'call', label: "keep what the fence did in the plan's state" },
  checkPlanState: { profile: 'call', label: "check the plan's generation" },
  lookAtWorkers: { profile: 'call', label: 'look at the workers' },
  keepCheck: { profile: 'call', label: 'keep what the check found' },
  noteTest: { profile: 'call', label: 'note the test' },
  readWindow: { profile: 'call', label: 'may a test begin now?' },
  writeEvidence: { profile: 'evidence', label: 'write the evidence' },
});

export const notices = activitiesOn<NoticeActivities>(NOTICE_QUEUE, {
  deliverNotice: { profile: 'notice', label: 'tell the receiver' },
  tryReceiver: { profile: 'call', label: 'try the receiver' },
});

export const backupProxy = activitiesOn<BackupProxyActivities>(BACKUP_PROXY_QUEUE, {
  snapshotVm: { profile: 'wait', label: 'snapshot the VM' },
  backupDisk: { profile: 'copy', label: 'back up disk' },
  rehearseAdaptation: { profile: 'wait', label: 'try the adaptation to EC2' },
  finishBackup: { profile: 'call', label: 'write the recovery point' },
  releaseVmSnapshot: { profile: 'wait', label: 'release the VM snapshot' },
  readPower: { profile: 'call', label: 'which VMs run at the primary site?' },
  shutDownVm: { profile: 'wait', label: 'shut the VM down' },
  startVm: { profile: 'wait', label: 'start the VM' },
  fenceVms: { profile: 'wait', label: 'keep the VMs off at the primary site' },
  stopVm: { profile: 'wait', label: 'stop the VM at the primary site' },
  checkPrimarySite: { profile: 'wait', label: 'check the primary site' },
  holdVm: { profile: 'wait', label: 'hold the VM as it is' },
  revertVm: { profile: 'wait', label: 'give the VM back as it was' },
  dropVmHold: { profile: 'wait', label: 'hold the VM no more' },
  setVmAside: { profile: 'wait', label: 'set the VM aside' },
  bringVmBack: { profile: 'wait', label: 'give the VM its name back' },
  createTemplateVm: { profile: 'wait', label: 'create the template VM' },
  attachDisks: { profile: 'wait', label: 'attach disks' },
  copySnapshotToDisk: { profile: 'copy', label: 'copy blocks home' },
  revertGuest: { profile: 'wait', label: "put the primary site's drivers back" },
  configureAndStartVm: { profile: 'wait', label: 'configure and start the VM' },
  removeTemplateVm: { profile: 'wait', label: 'remove the template VM' },
  waitUntilReady: { profile: 'ready', label: 'wait until ready' },
  runHook: { profile: 'hook', label: 'run the hook' },
});

export const awsProxy = activitiesOn<AwsProxyActivities>(AWS_PROXY_QUEUE, {
  planRestore: { profile: 'wait', label: 'compare backup and DR copy' },
  startSnapshot: { profile: 'call', label: 'start snapshot' },
  copyExtent: { profile: 'copy', label: 'copy blocks', taskQueue: AWS_PROXY_COPY_QUEUE },
  completeSnapshot: { profile: 'wait', label: 'complete snapshot' },
  publishDrCopy: { profile: 'wait', label: 'publish the DR copy' },
  lockDrCopy: { profile: 'wait', label: 'lock the DR copy' },
  deleteReplacedDrCopies: { profile: 'wait', label: 'delete the replaced DR copy' },
  discardRestore: { profile: 'wait', label: 'discard the unfinished DR copy' },
  choosePoints: { profile: 'wait', label: 'find the recovery points' },
  planPointCopy: { profile: 'wait', label: 'compare recovery point and DR copy' },
  finishPointCopy: { profile: 'wait', label: 'check the copied recovery point' },
  discardPointCopy: { profile: 'wait', label: 'discard the copied recovery point' },
  readDrCopy: { profile: 'call', label: 'find the DR copy' },
  verifyDisk: { profile: 'copy', label: 'read back and compare', taskQueue: AWS_PROXY_COPY_QUEUE },
  makeLaunchCopy: { profile: 'wait', label: 'make the launch copy' },
  pruneBackups: { profile: 'wait', label: 'prune backups' },
  createCopyVolume: { profile: 'wait', label: 'create copy volume' },
  snapshotCopyVolume: { profile: 'wait', label: 'snapshot copy volume' },
  deleteVolume: { profile: 'wait', label: 'delete volume' },
  checkFailover: { profile: 'wait', label: 'check that failover can work' },
  checkReadiness: { profile: 'wait', label: 'look at DR copies and account' },
  createVolumes: { profile: 'wait', label: 'create volumes from the DR copy' },
  ensureShellImage: { profile: 'wait', label: 'find the shell image' },
  launchShell: { profile: 'wait', label: 'launch instance' },
  attachVolumes: { profile: 'wait', label: 'attach volumes' },
  startInstance: { profile: 'wait', label: 'boot instance' },
  waitUntilReady: { profile: 'ready', label: 'wait until ready' },
  readBootScripts: { profile: 'ready', label: "read the boot scripts' exit statuses" },
  requireBootScripts: { profile: 'ready', label: 'wait for the boot script' },
  keepConsoles: { profile: 'wait', label: 'keep what the consoles show' },
  registerImage: { profile: 'wait', label: 'register the image' },
  launchInstance: { profile: 'wait', label: 'launch instance' },
  launchLicensedShell: { profile: 'wait', label: 'launch from the licensed image' },
  replaceRootVolume: { profile: 'wait', label: 'replace the root volume' },
  deregisterImages: { profile: 'wait', label: 'deregister images' },
  discardShell: { profile: 'wait', label: 'discard instance' },
  removeRecoveryResources: { profile: 'wait', label: 'remove what the run made' },
  moveDns: { profile: 'wait', label: 'move DNS to the recovery site' },
  returnDns: { profile: 'wait', label: 'return DNS to the primary site' },
  checkDns: { profile: 'dns', label: 'ask the name servers' },
  inspectDns: { profile: 'wait', label: "look at the plan's DNS" },
  lowerDnsTtls: { profile: 'wait', label: 'lower TTLs' },
  restoreDnsTtls: { profile: 'wait', label: 'restore TTLs' },
  readInstances: { profile: 'call', label: 'read the instances' },
  snapshotInstance: { profile: 'wait', label: 'snapshot the instance' },
  checkDiskFits: { profile: 'wait', label: "check the disk's end" },
  stopInstance: { profile: 'wait', label: 'stop the instance' },
  deleteFailbackSnapshots: { profile: 'wait', label: 'delete failback snapshots' },
  readAwayInstances: { profile: 'call', label: 'find the instances' },
  makeAwayCopy: { profile: 'wait', label: 'copy the instance' },
  removeRecoverySite: { profile: 'wait', label: 'remove the recovery site' },
  keepTest: { profile: 'wait', label: 'mark the test as kept' },
  removeOverdueTests: { profile: 'wait', label: 'remove kept tests whose time is over' },
  runHook: { profile: 'hook', label: 'run the hook' },
  proxyHost: { profile: 'call', label: 'find an AWS proxy' },
});

/** Activities on one AWS proxy; `taskQueue` is that host's own. */
export const awsProxyHost = (taskQueue: string, queueing?: Queueing): AwsProxyHostActivities =>
  activitiesOn<AwsProxyHostActivities>(
    taskQueue,
    {
      injectDrivers: { profile: 'host', label: 'inject drivers' },
      copyToVolume: { profile: 'hostCopy', label: 'copy blocks to volume' },
    },
    queueing,
  );

/** One AWS proxy's pulse; `taskQueue` is its pulse queue. */
export const awsProxyPulse = (taskQueue: string, queueing?: Queueing): AwsProxyPulseActivities =>
  activitiesOn<AwsProxyPulseActivities>(
    taskQueue,
    { answerPulse: { profile: 'pulse', label: 'is the AWS proxy there?' } },
    queueing,
  );

/** Whether an AWS proxy is there, in a zone where one is named. */
export const awsProxyAnswers = (zone?: string): AwsProxyAnswerActivities =>
  activitiesOn<AwsProxyAnswerActivities>(awsProxyAnswerQueue(zone), {
    answerAsAwsProxy: { profile: 'pulse', label: 'is an AWS proxy there?' },
  });

const BACKUP_PROXY_ANSWERS: Steps<BackupProxyAnswerActivities> = {
  answerAsBackupProxy: { profile: 'pulse', label: 'is a backup proxy there?' },
  askBackupProxyPrivileges: { profile: 'pulse', label: 'what may the backup proxy do?' },
};
export const backupProxyAnswers = activitiesOn(BACKUP_PROXY_ANSWER_QUEUE, BACKUP_PROXY_ANSWERS);

/** One proxy is asked for itself, on the queue that it alone polls. @param worker its identity */
export const proxyAnswers = (
  worker: string,
): { aws: AwsProxyAnswerActivities; backup: BackupProxyAnswerActivities } => ({
  aws: activitiesOn<AwsProxyAnswerActivities>(workerAnswerQueue(worker), {
    answerAsAwsProxy: { profile: 'pulse', label: 'is this AWS proxy there?' },
  }),
  backup: activitiesOn(workerAnswerQueue(worker), BACKUP_PROXY_ANSWERS),
});
