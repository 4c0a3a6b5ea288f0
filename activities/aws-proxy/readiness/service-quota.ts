import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  type ServiceQuotasClient,
} from '@aws-sdk/client-service-quotas';
import { type Finding } from '../../../plan/readiness';
import { hasCode } from '../../failures';

/** Seconds for an answer: Service Quotas need not be reachable from the proxy's network. */
const ANSWER_SECONDS = 10;

/** The account's own value of a quota, or AWS's default where it has none; in words, why it is not known. */
export async function quotaLimit(
  serviceQuotas: ServiceQuotasClient,
  ServiceCode: 'ec2' | 'ebs',
  QuotaCode: string,
): Promise<number | string> {
  const asked = { ServiceCode, QuotaCode };
  const within = () => ({ abortSignal: AbortSignal.timeout(ANSWER_SECONDS * 1000) });
  try {
    const { Quota } = await serviceQuotas
      .send(new GetServiceQuotaCommand(asked), within())
      .catch((error: unknown) => {
        if (!hasCode(error, 'NoSuchResourceException')) throw error;
        return serviceQuotas.send(new GetAWSDefaultServiceQuotaCommand(asked), within());
      });
    return Quota?.Value ?? 'AWS gives no value.';
  } catch (error) {
    return (error as Error).message;
  }
}

/** That a quota could not be asked for keeps nobody from failing over. */
export function notAsked({ code, name }: { code: string; name: string }, why: string): Finding {
  return {
    code: 'not-checked',
    severity: 'warning',
    text: `The quota "${name}" (${code}) could not be asked for: ${why}`,
    todo: 'Allow the AWS proxy servicequotas:GetServiceQuota and servicequotas:GetAWSDefaultServiceQuota, and a way to the endpoint of Service Quotas.',
    about: code,
  };
}
