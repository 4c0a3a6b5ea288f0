import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of a certificate and its key, PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/** An authority of its own, and what it signs, in the directory; by OpenSSL. */
export class Authority {
  readonly own: Certificate;

  constructor(
    private readonly directory: string,
    private readonly name = 'ca',
  ) {
    this.own = this.paths(name);
    this.openssl(['req', '-x509', ...this.keyArguments(this.own), '-days', '2', '-subj', `/CN=${name}`]);
  }

  /** @param addresses of a server; a client's has none */
  sign(commonName: string, addresses: string[] = []): Certificate {
    const made = this.paths(`${this.name}-${commonName.replace(/\W/g, '-')}`);
    const request = join(this.directory, 'request.pem');
    const extensions = join(this.directory, 'extensions');
    this.openssl([
      'req',
      '-new',
      ...this.keyArguments({ ...made, cert: request }),
      '-subj',
      `/CN=${commonName}`,
    ]);
    writeFileSync(
      extensions,
      addresses.length === 0 ? '' : `subjectAltName=${addresses.map((one) => `IP:${one}`).join(',')}\n`,
    );
    this.openssl([
      ...['x509', '-req', '-in', request, '-CA', this.own.cert, '-CAkey', this.own.key, '-CAcreateserial'],
      ...['-days', '2', '-extfile', extensions, '-out', made.cert],
    ]);
    return made;
  }

  private paths(name: string): Certificate {
    return { cert: join(this.directory, `${name}.pem`), key: join(this.directory, `${name}.key`) };
  }

  private keyArguments({ cert, key }: Certificate): string[] {
    return [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
    ];
  }

  private openssl(args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

/** As Temporal's clients want it. */
export const tlsOf = (authority: Authority, { cert, key }: Certificate) => ({
  serverRootCACertificate: readFileSync(authority.own.cert),
  clientCertPair: { crt: readFileSync(cert), key: readFileSync(key) },
});
