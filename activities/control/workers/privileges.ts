import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { type Finding } from '../../../plan/readiness';
import { stateKey } from '../../../repository/plans/plan-state';
import { evidencePrefix } from '../../../repository/evidence/chain';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { topicRegion } from '../notices/topic';
import { privilegeFindings, writeFindings } from '../../privileges';

const who = 'The control worker';

/**
 * What the control worker may not do of what a run will need of it, asked by calls that change nothing. That it keeps what the check
 * has found shows that it may.
 */
export async function controlPrivileges(
  store: ObjectStore,
  plan: string,
  topics: readonly string[],
  sns: (region: string) => SNSClient,
): Promise<Finding[]> {
  const state = await writeFindings(store, stateKey(plan), {
    ...{ who, on: `the plan's state (${stateKey(plan)})`, severity: 'impossible' },
    needed: 'every run takes before it changes anything',
  });
  const evidence = await writeFindings(store, `${evidencePrefix(plan)}check`, {
    ...{ who, on: `the plan's evidence (${evidencePrefix(plan)}*)`, severity: 'warning' },
    needed: 'is written at the end of each run',
  });
  const published = await Promise.all(
    [...new Set(topics)].map((TopicArn) =>
      privilegeFindings(
        {
          ...{ who, action: 'sns:Publish', on: TopicArn, severity: 'warning' },
          needed: 'is among those that the plan has told',
        },
        // SNS takes no message without a text.
        () => sns(topicRegion(TopicArn)).send(new PublishCommand({ TopicArn, Message: '' })),
        ['InvalidParameter', 'InvalidParameterException'],
      ),
    ),
  );
  return [...state, ...evidence, ...published.flat()];
}
