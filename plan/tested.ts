/** What of a guest decides whether it boots at the recovery site, as its backup has it. */
export interface GuestFacts {
  guestOs: string;
  firmware: string;
  /** Of the disks, in their order: keys; the one that it boots from is marked by "*". */
  disks: string[];
  /** The guest's system and kernels; absent where nobody has looked. */
  family?: string;
  kernels?: string[];
}

/** What a test failover has shown to come up. */
export interface Tested {
  /** Version of the plan. */
  digest: string;
  /** By VM; absent from tests of before this was noted. */
  guests?: Record<string, GuestFacts>;
  /** Lifeboat's version on the AWS proxy, which adapts guests and launches; absent where it was not told. */
  awsProxy?: string;
}

/** A backup's manifest, as far as it says this. */
interface BackedUpGuest {
  configuration: {
    guestOs: string;
    firmware: string;
    disks: readonly { key: string; boot: boolean }[];
  };
  guest?: { family?: string; kernels?: string[] } | undefined;
}

export function guestFactsOf({ configuration, guest }: BackedUpGuest): GuestFacts {
  const { guestOs, firmware, disks } = configuration;
  return {
    guestOs,
    firmware,
    disks: disks.map(({ key, boot }) => (boot ? `${key}*` : key)),
    ...(guest?.family === undefined ? {} : { family: guest.family }),
    ...(guest?.kernels === undefined ? {} : { kernels: guest.kernels }),
  };
}

/**
 * What has changed since a test, each to follow "since": of the plan, its guests and the proxy. Nothing where it holds. What is not
 * known of either time is not held against the test.
 */
export function changedSince(test: Tested, now: Tested): string[] {
  return [
    ...(test.digest === now.digest ? [] : ['the plan was changed']),
    ...Object.entries(now.guests ?? {}).flatMap(([vm, guest]) => {
      const before = test.guests?.[vm];
      return before === undefined ? [] : guestChanges(vm, before, guest);
    }),
    ...(test.awsProxy === undefined || now.awsProxy === undefined || test.awsProxy === now.awsProxy
      ? []
      : [`the AWS proxy was changed from version ${test.awsProxy} to ${now.awsProxy}`]),
  ];
}

function guestChanges(vm: string, before: GuestFacts, now: GuestFacts): string[] {
  const change = (what: string, then: unknown, is: unknown): string[] => {
    const [one, other] = [then, is].map((value) => (Array.isArray(value) ? value.join(', ') : value));
    return then === undefined || is === undefined || one === other
      ? []
      : [`the guest of ${vm} was changed: ${what} ${String(one)} is ${String(other)} now`];
  };
  return [
    ...change('system', before.guestOs, now.guestOs),
    ...change('firmware', before.firmware, now.firmware),
    ...change('disks', before.disks, now.disks),
    ...change('family', before.family, now.family),
    ...change('kernels', before.kernels, now.kernels),
  ];
}
