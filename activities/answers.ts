import { lifeboatVersion } from '../host/version';
import { type EBSClient } from '@aws-sdk/client-ebs';
import { type Finding, type ProxyAnswer } from '../plan/readiness';
import { type RepositoryAddress, type RunContext } from '../plan/run';
import { type ObjectStore } from '../repository/objects/object-store';
import { answerWithin } from './answer-within';
import { type BackupProxyQuestion, backupProxyPrivileges } from './backup-proxy/privileges';
import { toFailure, withFailures } from './failures';

/** On queues of their own, where nothing else is ever waited for: that nobody answers there means that nobody is there. */
export interface AwsProxyAnswerActivities {
  /** Answers: an AWS proxy is there, whatever it is busy with. */
  answerAsAwsProxy(): Promise<ProxyAnswer>;
}

export interface BackupProxyAnswerActivities {
  /** Answers: a backup proxy is there; and whether it reaches the repository from where it is. */
  answerAsBackupProxy(input: { run: Pick<RunContext, 'repository'> }): Promise<BackupProxyAnswer>;
  /** Answers what it may not do, of what backups and failbacks will need. Changes nothing. */
  askBackupProxyPrivileges(input: {
    run: Pick<RunContext, 'repository'>;
    question: BackupProxyQuestion;
  }): Promise<Finding[]>;
}

export interface BackupProxyAnswer extends ProxyAnswer {
  /** Why the repository cannot be read; absent where it can. */
  repositoryProblem?: string;
}

/** Seconds for the repository to answer, within what an answer may take. */
const REPOSITORY_SECONDS = 10;

/** Who answers: the worker's name for people, as Temporal knows it. */
interface Answering {
  worker: string;
}

export function createAwsProxyAnswers({
  worker,
  availabilityZone,
}: Answering & { availabilityZone: string }): AwsProxyAnswerActivities {
  return {
    answerAsAwsProxy: () => Promise.resolve({ worker, version: lifeboatVersion(), availabilityZone }),
  };
}

export function createBackupProxyAnswers({
  worker,
  objectStore,
  ebs,
}: Answering & {
  objectStore: (address: RepositoryAddress) => ObjectStore;
  ebs: EBSClient;
}): BackupProxyAnswerActivities {
  return withFailures<BackupProxyAnswerActivities>({
    async answerAsBackupProxy({ run }) {
      const repositoryProblem = await problemOf(objectStore(run.repository));
      const answer = { worker, version: lifeboatVersion() };
      return { ...answer, ...(repositoryProblem === undefined ? {} : { repositoryProblem }) };
    },
    askBackupProxyPrivileges: ({ run, question }) =>
      backupProxyPrivileges({ store: objectStore(run.repository), ebs }, worker, question),
  });
}

async function problemOf(store: ObjectStore): Promise<string | undefined> {
  try {
    // Whether the object is there is no matter: that there is an answer is.
    await answerWithin(REPOSITORY_SECONDS, () => store.get('plans/by-name/'));
    return undefined;
  } catch (error) {
    return toFailure(error, 'read the backup repository').message;
  }
}
