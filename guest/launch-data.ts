/**
 * What differs from launch to launch of one and the same adapted disk (a launch copy), as text for the instance's user data:
 *
 *     lifeboat-launch 1
 *     run 01J8Z3K5
 *     address 198.18.0.1 10.0.1.30
 *
 * The disk was adapted with the placeholders; at boot the guest puts the run id and the addresses in their places
 * (linux/stay/launch-reader.ts, which checks the text by the patterns below and takes it whole or not at all).
 */

export const LAUNCH_DATA_HEADER = 'lifeboat-launch 1';

/** EC2's limit for user data, before base64 ("Instance user data" in its User Guide). */
export const MAX_USER_DATA_BYTES = 16 * 1024;

/** The run id that a launch copy is adapted with. */
export const PLACEHOLDER_RUN_ID = 'launch';

// Patterns that mean the same to JavaScript and to grep -E.
export const RUN_ID = '[A-Za-z0-9][A-Za-z0-9._-]{0,63}';
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
/** 198.18.0.0/15 is for measurements between routers (RFC 2544): no VM has an address of it, and nothing routes it. */
export const PLACEHOLDER = `198\\.1[89]\\.${OCTET}\\.${OCTET}`;
/** IPv6 in its characters only: what is no address leads nowhere. */
export const ADDRESS = `(${OCTET}(\\.${OCTET}){3}|[0-9a-f]{0,4}:[0-9a-f:.]{1,44})`;

/** Addresses of the range, without the network's own. */
const PLACEHOLDERS = 2 ** 17 - 1;

/** The address that a launch copy has in the place of one that is known at launch only. @param index from 0 */
export function placeholderAddress(index: number): string {
  if (!Number.isInteger(index) || index < 0 || index >= PLACEHOLDERS)
    throw new RangeError(`There is no placeholder ${index}: there are ${PLACEHOLDERS}, from 0.`);
  const host = index + 1;
  return `198.${18 + (host >>> 16)}.${(host >>> 8) & 0xff}.${host & 0xff}`;
}

/** What a launch tells the guest. */
export interface LaunchData {
  runId: string;
  /** For every placeholder that the disk was adapted with; a guest takes nothing where one is missing. */
  addresses: { placeholder: string; address: string }[];
}

/**
 * The user data of a launch, as text; RunInstances wants it in base64.
 * @throws Error where a value could not stand in it, or where it is longer than user data may be
 */
export function launchData({ runId, addresses }: LaunchData): string {
  if (!matches(RUN_ID, runId)) throw new Error(`"${runId}" is no run id.`);
  const seen = new Set<string>();
  for (const { placeholder, address } of addresses) {
    if (!matches(PLACEHOLDER, placeholder)) throw new Error(`"${placeholder}" is no placeholder.`);
    if (seen.has(placeholder)) throw new Error(`${placeholder} has two addresses.`);
    if (!matches(ADDRESS, address) || matches(PLACEHOLDER, address))
      throw new Error(`"${address}" is no address that a VM can have.`);
    seen.add(placeholder);
  }
  const lines = [
    LAUNCH_DATA_HEADER,
    `run ${runId}`,
    ...addresses.map(({ placeholder, address }) => `address ${placeholder} ${address}`),
  ];
  const text = `${lines.join('\n')}\n`;
  if (text.length > MAX_USER_DATA_BYTES)
    throw new Error(
      `The addresses of ${addresses.length} VMs need ${text.length} bytes of user data, and EC2 takes ${MAX_USER_DATA_BYTES}. ` +
        'Let the VM depend on fewer.',
    );
  return text;
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(text);
}
