import {
  type InstanceMetadataOptionsRequest,
  type InstanceMetadataOptionsResponse,
} from '@aws-sdk/client-ec2';
import { type InstanceRecord, type MetadataOptions } from '../../state/records';
import { AwsError } from '../../wire/errors';

/** What EC2 takes where neither the request nor the image nor the account says otherwise. */
const DEFAULTS: MetadataOptions = { httpEndpoint: 'enabled', httpTokens: 'optional' };
/** A segment lets answers go one hop, whichever instance asked. */
const HOP_LIMIT = 1;

export function readMetadataOptions(input: InstanceMetadataOptionsRequest = {}): MetadataOptions {
  const { HttpEndpoint, HttpTokens, HttpPutResponseHopLimit = HOP_LIMIT, ...others } = input;
  const httpEndpoint = oneOf('HttpEndpoint', HttpEndpoint, ['enabled', 'disabled'] as const);
  const httpTokens = oneOf('HttpTokens', HttpTokens, ['optional', 'required'] as const);
  if (!(HttpPutResponseHopLimit >= 1 && HttpPutResponseHopLimit <= 64))
    throw new AwsError('InvalidParameterValue', 'HttpPutResponseHopLimit must be between 1 and 64.');
  if (HttpPutResponseHopLimit !== HOP_LIMIT)
    throw new AwsError('UnsupportedOperation', `This sandbox's metadata goes ${HOP_LIMIT} hop.`);
  for (const [name, value] of Object.entries(others))
    if (value !== undefined && value !== 'disabled')
      throw new AwsError('UnsupportedOperation', `This sandbox does not heed ${name} of MetadataOptions.`);
  return {
    httpEndpoint: httpEndpoint ?? DEFAULTS.httpEndpoint,
    httpTokens: httpTokens ?? DEFAULTS.httpTokens,
  };
}

export function metadataOptionsView({
  metadataOptions,
  state,
}: InstanceRecord): InstanceMetadataOptionsResponse {
  const { httpEndpoint, httpTokens } = metadataOptions ?? DEFAULTS;
  return {
    State: state === 'pending' ? 'pending' : 'applied',
    HttpEndpoint: httpEndpoint,
    HttpTokens: httpTokens,
    HttpPutResponseHopLimit: HOP_LIMIT,
    HttpProtocolIpv6: 'disabled',
    InstanceMetadataTags: 'disabled',
  };
}

function oneOf<T extends string>(
  name: string,
  value: string | undefined,
  values: readonly T[],
): T | undefined {
  if (value === undefined) return undefined;
  const found = values.find((one) => one === value);
  if (found === undefined)
    throw new AwsError('InvalidParameterValue', `Value (${value}) for parameter ${name} is invalid.`);
  return found;
}
