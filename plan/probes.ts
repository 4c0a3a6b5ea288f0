import { z } from 'zod';
import { duration } from './duration';

/** How Lifeboat finds out that a VM serves: it must answer before the VMs that depend on it start. */

const port = z.number().int().min(1).max(65535);

/** As many as a person reads the answers of; each is asked anew every other second while a VM boots. */
const MAXIMUM_PROBES = 8;

/** What is asked for over HTTP, and what the answer has to be. */
const request = {
  path: z
    .string()
    .startsWith('/', 'must begin with "/"')
    .regex(
      /^[\u0021-\u00ff]*$/,
      "must not hold blanks or other letters than ASCII's; write them as in a URL, a blank as %20",
    )
    .default('/'),
  status: z.number().int().min(100).max(599).default(200),
  /** The Host header, and with https the server's name in the TLS handshake; the VM's address where it is absent. */
  host: z
    .string()
    .regex(
      /^[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?(:\d{1,5})?$/i,
      'must be a host name like www.shop.example, with ":" and a port only where the application wants one in it',
    )
    .optional(),
  /** Text that must be in the body's first 64 KiB. */
  contains: z.string().min(1).max(200).optional(),
};

const http = z.object({ port: port.default(80), ...request }).strict();

const https = z
  .object({
    port: port.default(443),
    ...request,
    /** Whether the certificate has to be good for `host`, and of an authority that the proxy's host trusts. */
    verify: z.boolean().default(true),
  })
  .strict()
  .refine(
    ({ verify, host }) => !verify || host !== undefined,
    'needs host, the name that the certificate is for; or "verify: false", to take any certificate',
  );

const one = { tcp: port.optional(), http: http.optional(), https: https.optional() };

const given = (probe: object, ...kinds: string[]): number =>
  Object.entries(probe).filter(([kind, value]) => kinds.includes(kind) && value !== undefined).length;

export const readiness = z
  .object({
    ...one,
    /** Several probes: the VM is ready when all of them answer at the same time. */
    all: z
      .array(
        z
          .object(one)
          .strict()
          .refine(
            (probe) => given(probe, 'tcp', 'http', 'https') === 1,
            'needs exactly one of tcp, http and https',
          ),
      )
      .min(1)
      .max(MAXIMUM_PROBES)
      .optional(),
    /** Seconds until a VM that does not answer counts as not booted. */
    timeout: duration.default(600),
  })
  .strict()
  .refine(
    (probe) => given(probe, 'tcp', 'http', 'https', 'all') === 1,
    'needs exactly one of tcp, http, https and all (a list of several)',
  );

export type ReadinessProbe = z.output<typeof readiness>;

/** One question to a VM. */
export type Probe = Pick<ReadinessProbe, 'tcp' | 'http' | 'https'>;

/** The probes that have to answer. */
export function probesOf({ all, ...single }: ReadinessProbe): Probe[] {
  return all ?? [single];
}
