import { type EC2Client, GetConsoleScreenshotCommand } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { SCREENSHOT_BYTES, screenshotProblem } from '../../../repository/plans/consoles';
import { findInstanceStatus } from '../account/lookup';
import { type CheckSummary, type ConsoleEvidence } from './contract';

export type StatusChecks = NonNullable<ConsoleEvidence['statusChecks']>;

/**
 * EC2's picture of the screen, without a key pressed before: a guest that waits for one must not go on by it.
 * @throws ApplicationFailure BadScreenshot, non-retryable, where it is none
 */
export async function takeScreenshot(ec2: EC2Client, InstanceId: string): Promise<Buffer> {
  const { ImageData = '' } = await ec2.send(new GetConsoleScreenshotCommand({ InstanceId }));
  // Four letters are three bytes; what is far too large is not even decoded.
  const isTooLong = ImageData.length > (SCREENSHOT_BYTES / 3) * 4 + 4;
  const picture = Buffer.from(isTooLong ? '' : ImageData, 'base64');
  const problem = isTooLong
    ? `it has ${ImageData.length} letters of base64, more than any screen of EC2's`
    : screenshotProblem(picture);
  if (problem !== undefined)
    throw ApplicationFailure.nonRetryable(
      `EC2's picture of the screen of ${InstanceId} cannot be used: ${problem}.`,
      'BadScreenshot',
    );
  return picture;
}

const SUMMARIES: readonly CheckSummary[] = [
  'ok',
  'impaired',
  'initializing',
  'insufficient-data',
  'not-applicable',
];

/** @returns undefined where EC2 does not list the instance */
export async function statusChecksOf(ec2: EC2Client, instanceId: string): Promise<StatusChecks | undefined> {
  const status = await findInstanceStatus(ec2, instanceId);
  if (status === undefined) return undefined;
  const summary = (told: string | undefined): CheckSummary =>
    SUMMARIES.find((one) => one === told) ?? 'insufficient-data';
  return {
    system: summary(status.SystemStatus?.Status),
    instance: summary(status.InstanceStatus?.Status),
  };
}
