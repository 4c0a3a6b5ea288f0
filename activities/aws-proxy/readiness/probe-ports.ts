import { type IpPermission, type SecurityGroup } from '@aws-sdk/client-ec2';
import { probesOf } from '../../../plan/probes';
import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { type Mode, type SiteLooks } from './looks';

const MODES: readonly Mode[] = ['production', 'test'];

/**
 * Ports of readiness probes that a VM's security groups keep shut for everybody: such a VM never counts as ready. Whether they are
 * open for the AWS proxy is not asked, as which of them will ask, and by which way, is not known.
 */
export function probePortFindings(plan: DrPlan, looks: SiteLooks): Finding[] {
  return MODES.flatMap((mode) => {
    const where = new Map(looks[mode].placed.map(({ vm, site }) => [vm, site]));
    return plan.vms.flatMap((vm): Finding[] => {
      const wanted = where.get(vm.name)?.securityGroups ?? [];
      const groups = looks.site.groups.filter(({ GroupId = '' }) => wanted.includes(GroupId));
      // One that does not exist is another finding.
      if (groups.length < new Set(wanted).size) return [];
      return [...new Set(portsOf(vm))]
        .filter((port) => !groups.some((group) => lets(group, port)))
        .map((port) => ({
          code: 'probe-port',
          severity: 'warning',
          vm: vm.name,
          text: `The security groups of ${vm.name} (${wanted.join(', ')}) let nobody in to port ${port}, which its readiness probe asks${mode === 'test' ? ' in a test' : ''}.`,
          todo: 'Let the AWS proxies in to it, or correct securityGroups or readiness in the plan.',
        }));
    });
  });
}

const portsOf = ({ readiness }: DrPlan['vms'][number]): number[] =>
  probesOf(readiness).flatMap(({ tcp, http, https }) => tcp ?? http?.port ?? https?.port ?? []);

const lets = ({ IpPermissions = [] }: SecurityGroup, port: number): boolean =>
  IpPermissions.some((rule) => isFor(rule, port) && hasSource(rule));

/** "IpPermission", EC2 API Reference: -1 is all protocols and ports; TCP has a range. */
function isFor({ IpProtocol, FromPort = -1, ToPort = -1 }: IpPermission, port: number): boolean {
  if (IpProtocol === '-1') return true;
  return IpProtocol === 'tcp' && FromPort <= port && port <= ToPort;
}

const hasSource = ({ IpRanges, Ipv6Ranges, PrefixListIds, UserIdGroupPairs }: IpPermission): boolean =>
  [IpRanges, Ipv6Ranges, PrefixListIds, UserIdGroupPairs].some((sources) => (sources ?? []).length > 0);
