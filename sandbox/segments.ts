import { type SegmentSpec } from '../machines/network/segment';

/** The sandbox's networks: the data centre's, and the subnets of the recovery site. None reaches another. */
export const SEGMENTS: SegmentSpec[] = [
  { name: 'dc', cidr: '192.168.10.0/24', gateway: '192.168.10.1', dhcp: false },
  { name: 'prod', cidr: '10.0.1.0/24', gateway: '10.0.1.1', dhcp: true, metadata: true },
  { name: 'prodb', cidr: '10.0.3.0/24', gateway: '10.0.3.1', dhcp: true, metadata: true },
  { name: 'test', cidr: '10.0.2.0/24', gateway: '10.0.2.1', dhcp: true, metadata: true },
];
