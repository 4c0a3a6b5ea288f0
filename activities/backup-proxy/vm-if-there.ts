import { type DescribedVm, type Hypervisor, VmNotFoundError } from '../../hypervisor/port';

/** A VM of the primary site; undefined where it has none of that name. */
export async function vmIfThere(hypervisor: Hypervisor, name: string): Promise<DescribedVm | undefined> {
  try {
    return await hypervisor.describeVm(name);
  } catch (error) {
    if (error instanceof VmNotFoundError) return undefined;
    throw error;
  }
}
