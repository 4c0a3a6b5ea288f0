/** A quota of vCPUs that run On-Demand in a Region. */
export interface VcpuQuota {
  code: string;
  name: string;
}

export const STANDARD_VCPUS: VcpuQuota = {
  code: 'L-1216C47A',
  name: 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances',
};
const GRAPHICS: VcpuQuota = { code: 'L-DB2E81BA', name: 'Running On-Demand G and VT instances' };
const HIGH_MEMORY: VcpuQuota = { code: 'L-43DA4232', name: 'Running On-Demand High Memory instances' };

/** By what an instance type's name begins with, up to its generation. "Amazon EC2 endpoints and quotas", AWS General Reference. */
const BY_FAMILY: ReadonlyMap<string, VcpuQuota> = new Map([
  ['dl', { code: 'L-6E869C2A', name: 'Running On-Demand DL instances' }],
  ['f', { code: 'L-74FC7D96', name: 'Running On-Demand F instances' }],
  ['g', GRAPHICS],
  ['gr', GRAPHICS],
  ['vt', GRAPHICS],
  ['hpc', { code: 'L-F7808C92', name: 'Running On-Demand HPC instances' }],
  ['u', HIGH_MEMORY],
  ['u-', HIGH_MEMORY],
  ['inf', { code: 'L-1945791B', name: 'Running On-Demand Inf instances' }],
  ['p', { code: 'L-417A185B', name: 'Running On-Demand P instances' }],
  ['trn', { code: 'L-2C3B7624', name: 'Running On-Demand Trn instances' }],
  ['x', { code: 'L-7295265B', name: 'Running On-Demand X instances' }],
]);
const STANDARD_LETTERS = new Set('acdhimrtz');

/** The quota that an instance type counts against; undefined where its family is not known, such as one that is newer. */
export function vcpuQuotaOf(instanceType: string): VcpuQuota | undefined {
  const [family = ''] = /^[a-z]+-?/.exec(instanceType) ?? [];
  const own = BY_FAMILY.get(family);
  if (own !== undefined) return own;
  // "im4gn" and "is4gen" are of the family I; a Mac is a host of its own.
  return family !== 'mac' && STANDARD_LETTERS.has(family[0] ?? '') ? STANDARD_VCPUS : undefined;
}
