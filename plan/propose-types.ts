/** An instance type that a VM could run on. */
export interface OfferedType {
  name: string;
  vcpus: number;
  memoryMiB: number;
}

/** What a VM has at home. */
export interface VmSize {
  cpus: number;
  memoryMiB: number;
}

/** Types of different families, as AWS may have no capacity for one. */
const MOST_PROPOSALS = 3;
/**
 * What a vCPU costs of what a GiB of memory does: of m, c and r types of one generation, which have 4, 2 and 8 GiB a vCPU, list prices
 * come to this within a tenth ("Amazon EC2 On-Demand Pricing", us-east-1, 2025).
 */
const VCPU_IN_GIB = 13.5;
/** Compute, general and memory: others have disks, cards or a licence that a VM from a data centre does not ask for. */
const FAMILY = /^([cmr](\d+)[a-z]*)\./;

/** The smallest types that the VM fits, in order of their likely price, of one family each; none where none is large enough. */
export function proposeTypes({ cpus, memoryMiB }: VmSize, offered: readonly OfferedType[]): string[] {
  const fitting = offered
    .filter((type) => type.vcpus >= cpus && type.memoryMiB >= memoryMiB)
    .flatMap((type) => {
      const [, family, generation] = FAMILY.exec(type.name) ?? [];
      if (family === undefined) return [];
      const price = type.vcpus * VCPU_IN_GIB + type.memoryMiB / 1024;
      return [{ name: type.name, family, generation: Number(generation), price }];
    })
    .sort(
      (one, other) =>
        one.price - other.price || other.generation - one.generation || (one.name < other.name ? -1 : 1),
    );
  const first = new Map(fitting.toReversed().map((type) => [type.family, type.name]));
  return [...new Set(fitting.map(({ family }) => first.get(family) ?? ''))].slice(0, MOST_PROPOSALS);
}
