import {
  type GetAWSDefaultServiceQuotaRequest,
  type GetAWSDefaultServiceQuotaResponse,
  type GetServiceQuotaRequest,
  type GetServiceQuotaResponse,
  type ListServiceQuotasRequest,
  type ListServiceQuotasResponse,
  type ServiceQuota,
} from '@aws-sdk/client-service-quotas';
import { ACCOUNT_ID, type Account } from '../account';
import { page } from '../ec2/paging';
import { AwsError } from '../wire/errors';

/** What every account begins with: vCPUs of running On-Demand instances. "Amazon EC2 endpoints and quotas", AWS General Reference. */
const EC2_DEFAULTS: ReadonlyMap<string, { name: string; value: number }> = new Map([
  ['L-1216C47A', { name: 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances', value: 5 }],
  ['L-6E869C2A', { name: 'Running On-Demand DL instances', value: 0 }],
  ['L-74FC7D96', { name: 'Running On-Demand F instances', value: 0 }],
  ['L-DB2E81BA', { name: 'Running On-Demand G and VT instances', value: 0 }],
  ['L-F7808C92', { name: 'Running On-Demand HPC instances', value: 0 }],
  ['L-43DA4232', { name: 'Running On-Demand High Memory instances', value: 0 }],
  ['L-1945791B', { name: 'Running On-Demand Inf instances', value: 0 }],
  ['L-417A185B', { name: 'Running On-Demand P instances', value: 0 }],
  ['L-2C3B7624', { name: 'Running On-Demand Trn instances', value: 0 }],
  ['L-7295265B', { name: 'Running On-Demand X instances', value: 0 }],
]);

/** The account's quotas of EC2, as far as Lifeboat asks for them. */
export function quotaHandlers({ config }: Account) {
  const view = (code: string, name: string, value: number): ServiceQuota => ({
    ServiceCode: 'ec2',
    ServiceName: 'Amazon Elastic Compute Cloud (Amazon EC2)',
    QuotaArn: `arn:aws:servicequotas:${config.region}:${ACCOUNT_ID}:ec2/${code}`,
    QuotaCode: code,
    QuotaName: name,
    Value: value,
    Unit: 'None',
    Adjustable: true,
    GlobalQuota: false,
    QuotaAppliedAtLevel: 'ACCOUNT',
  });
  const applied = (code: string, name: string, value: number): ServiceQuota =>
    view(code, name, config.fixtures.quotas?.[code] ?? value);

  /** @throws AwsError NoSuchResourceException */
  function find({ ServiceCode, QuotaCode = '' }: GetServiceQuotaRequest): {
    code: string;
    name: string;
    value: number;
  } {
    const known = ServiceCode === 'ec2' ? EC2_DEFAULTS.get(QuotaCode) : undefined;
    if (known === undefined)
      throw new AwsError(
        'NoSuchResourceException',
        'The request failed because the specified service quota does not exist.',
      );
    return { code: QuotaCode, ...known };
  }

  return {
    GetServiceQuota(input: GetServiceQuotaRequest): GetServiceQuotaResponse {
      const { code, name, value } = find(input);
      return { Quota: applied(code, name, value) };
    },

    GetAWSDefaultServiceQuota(input: GetAWSDefaultServiceQuotaRequest): GetAWSDefaultServiceQuotaResponse {
      const { code, name, value } = find(input);
      return { Quota: view(code, name, value) };
    },

    ListServiceQuotas(input: ListServiceQuotasRequest): ListServiceQuotasResponse {
      if (input.ServiceCode !== 'ec2')
        throw new AwsError('NoSuchResourceException', `There are no quotas of ${input.ServiceCode} here.`);
      const all = [...EC2_DEFAULTS].map(([code, { name, value }]) => ({
        ...applied(code, name, value),
        id: code.toLowerCase(),
        createdAt: '1970-01-01T00:00:00.000Z',
      }));
      const { items, NextToken } = page(all, input, 1);
      return { Quotas: items.map(({ id: _, createdAt: __, ...quota }) => quota), NextToken };
    },
  };
}
