import { type Finding, type FindingCode } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';

/** What a failover asks before it begins, and what a person does about what is wrong with it. */
const TODO = {
  region: "Run an AWS proxy in the plan's Region, or correct recoverySite.region.",
  network:
    'Correct the subnets and securityGroups of recoverySite in the plan, or make in the account what is missing.',
  'test-network': 'Give recoverySite.test a subnet of its own.',
  'instance-type': "Name instanceTypes that the subnets' zones offer and the guest boots on.",
  'licensed-image': 'Name another licensedImage, or have this one shared with the account.',
  'dr-copy': 'Back up and restore the VM: lifeboat backup PLAN, then lifeboat restore PLAN.',
  volume: 'Correct volumes in the plan.',
  address: 'Free the address, or give the VM another one in the plan.',
  'instance-profile': 'Make the instance profile, or correct instanceProfile in the plan.',
  dns: 'Correct dns in the plan, or the hosted zone.',
} as const satisfies Partial<Record<FindingCode, string>>;

type Stage = keyof typeof TODO;

/** Details of the failure NotReadyForFailover. */
export interface RefusalDetails {
  /** All of them, in the order of the message. */
  findings: string[];
  /** What they are about, each once. */
  codes: FindingCode[];
}

/** What is wrong of one kind, a sentence each, as findings that a failover stops at. */
export function stageFindings(plan: DrPlan, code: Stage, texts: string[]): Finding[] {
  return texts.map((text) => {
    const vm = vmNamedIn(plan, text);
    return { code, severity: 'impossible', ...(vm === undefined ? {} : { vm }), text, todo: TODO[code] };
  });
}

/** The one VM of the plan that a sentence names, as a word of its own; undefined where it names none, or several. */
export function vmNamedIn({ vms }: Pick<DrPlan, 'vms'>, text: string): string | undefined {
  // "db.internal" and "web-2" are other words than "db" and "web"; "db's", "db." and "db;" are not.
  const words = new Set(text.split(/[\s,;:()"]+/).map((word) => word.replace(/('s)?[.']?$/, '')));
  const named = vms.filter(({ name }) => words.has(name));
  return named.length === 1 ? named[0]?.name : undefined;
}
