import { didYouMean } from './nearest';

/** @param names of the VMs that the plan has */
export function unknownVm(name: string, names: string[]): string {
  return `there is no VM "${name}" in this plan${didYouMean(name, names) || `; it has ${names.join(', ')}`}`;
}
