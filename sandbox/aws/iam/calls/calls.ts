import { ebsCalls } from './ebs-calls';
import { ec2Calls } from './ec2-calls';
import { type CallMapping } from './mapping';
import { iamCalls, kmsCalls, quotaCalls, snsCalls, stsCalls } from './other-calls';
import { route53Calls } from './route53-calls';
import { s3Calls } from './s3-calls';

/** What the calls of each service ask for, by the service's signing name. */
export const CALLS: Readonly<Record<string, CallMapping>> = {
  ebs: ebsCalls,
  ec2: ec2Calls,
  iam: iamCalls,
  kms: kmsCalls,
  route53: route53Calls,
  s3: s3Calls,
  servicequotas: quotaCalls,
  sns: snsCalls,
  sts: stsCalls,
};
