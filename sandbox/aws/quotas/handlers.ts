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

/** Storage, in TiB. "Quotas for Amazon EBS", Amazon EBS User Guide. */
const EBS_DEFAULTS: typeof EC2_DEFAULTS = new Map([
  ['L-7A658B76', { name: 'Storage for General Purpose SSD (gp3) volumes, in TiB', value: 50 }],
  ['L-D18FCD1D', { name: 'Storage for General Purpose SSD (gp2) volumes, in TiB', value: 50 }],
  ['L-FD252861', { name: 'Storage for Provisioned IOPS SSD (io1) volumes, in TiB', value: 50 }],
  ['L-09BD8365', { name: 'Storage for Provisioned IOPS SSD (io2) volumes, in TiB', value: 20 }],
  ['L-82ACEF56', { name: 'Storage for Throughput Optimized HDD (st1) volumes, in TiB', value: 50 }],
  ['L-17AF77E8', { name: 'Storage for Cold HDD (sc1) volumes, in TiB', value: 50 }],
  ['L-9CF3C2EB', { name: 'Storage for Magnetic (standard) volumes, in TiB', value: 50 }],
]);

const SERVICES: ReadonlyMap<string, { name: string; quotas: typeof EC2_DEFAULTS }> = new Map([
  ['ec2', { name: 'Amazon Elastic Compute Cloud (Amazon EC2)', quotas: EC2_DEFAULTS }],
  ['ebs', { name: 'Amazon Elastic Block Store (Amazon EBS)', quotas: EBS_DEFAULTS }],
]);

/** The account's quotas of EC2 and EBS, as far as Lifeboat asks for them. */
export function quotaHandlers({ config }: Account) {
  const view = (service: string, code: string, name: string, value: number): ServiceQuota => ({
    ServiceCode: service,
    ServiceName: SERVICES.get(service)?.name,
    QuotaArn: `arn:aws:servicequotas:${config.region}:${ACCOUNT_ID}:${service}/${code}`,
    QuotaCode: code,
    QuotaName: name,
    Value: value,
    Unit: 'None',
    Adjustable: true,
    GlobalQuota: false,
    QuotaAppliedAtLevel: 'ACCOUNT',
  });
  const applied = (service: string, code: string, name: string, value: number): ServiceQuota =>
    view(service, code, name, config.fixtures.quotas?.[code] ?? value);

  /** @throws AwsError NoSuchResourceException */
  function find({ ServiceCode: service = '', QuotaCode = '' }: GetServiceQuotaRequest): {
    service: string;
    code: string;
    name: string;
    value: number;
  } {
    const known = SERVICES.get(service)?.quotas.get(QuotaCode);
    if (known === undefined)
      throw new AwsError(
        'NoSuchResourceException',
        'The request failed because the specified service quota does not exist.',
      );
    return { service, code: QuotaCode, ...known };
  }

  return {
    GetServiceQuota(input: GetServiceQuotaRequest): GetServiceQuotaResponse {
      const { service, code, name, value } = find(input);
      return { Quota: applied(service, code, name, value) };
    },

    GetAWSDefaultServiceQuota(input: GetAWSDefaultServiceQuotaRequest): GetAWSDefaultServiceQuotaResponse {
      const { service, code, name, value } = find(input);
      return { Quota: view(service, code, name, value) };
    },

    ListServiceQuotas(input: ListServiceQuotasRequest): ListServiceQuotasResponse {
      const service = input.ServiceCode ?? '';
      const known = SERVICES.get(service);
      if (known === undefined)
        throw new AwsError('NoSuchResourceException', `There are no quotas of ${input.ServiceCode} here.`);
      const all = [...known.quotas].map(([code, { name, value }]) => ({
        ...applied(service, code, name, value),
        id: code.toLowerCase(),
        createdAt: '1970-01-01T00:00:00.000Z',
      }));
      const { items, NextToken } = page(all, input, 1);
      return { Quotas: items.map(({ id: _, createdAt: __, ...quota }) => quota), NextToken };
    },
  };
}
