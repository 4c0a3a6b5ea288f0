/** Where an instance or a volume may be tried. */
export interface TriedPlace {
  subnet: string;
  securityGroups: string[] | undefined;
  availabilityZone: string;
  instanceType: string;
}
