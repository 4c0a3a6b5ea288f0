import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, as files in PEM. */
export interface CertificateFiles {
  cert: string;
  key: string;
  /** Both in one file, as HAProxy has them. */
  both: string;
}

/** Certificates made by OpenSSL for one test. */
export class Certificates {
  readonly directory = mkdtempSync(join(tmpdir(), 'lifeboat-certificates-'));
  private readonly authorities = new Set<string>();

  private openssl(...args: string[]): string {
    return execFileSync('openssl', args, { cwd: this.directory, encoding: 'utf8', stdio: 'pipe' });
  }

  private path(name: string): string {
    return join(this.directory, name);
  }

  /** @returns file of the CA's certificate */
  authority(name: string): string {
    const [cert, key] = [this.path(`${name}.pem`), this.path(`${name}-key.pem`)];
    if (this.authorities.has(name)) return cert;
    this.authorities.add(name);
    this.openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
      ...['-subj', `/CN=${name}`, '-keyout', key, '-out', cert],
    );
    return cert;
  }

  /** @param names subject alternative names, such as `DNS:temporal.example` @param days negative: it has expired */
  issue(
    name: string,
    { by, names = '', days = 10 }: { by: string; names?: string; days?: number },
  ): CertificateFiles {
    const authority = this.authority(by);
    const [cert, key, both] = [`${name}.pem`, `${name}-key.pem`, `${name}-both.pem`].map((file) =>
      this.path(file),
    ) as [string, string, string];
    const request = this.path(`${name}.csr`);
    this.openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`],
      ...['-keyout', key, '-out', request],
    );
    const extensions = this.path(`${name}.ext`);
    writeFileSync(extensions, names === '' ? 'basicConstraints=CA:FALSE\n' : `subjectAltName=${names}\n`);
    this.openssl(
      ...[
        'x509',
        '-req',
        '-in',
        request,
        '-CA',
        authority,
        '-CAkey',
        this.path(`${by}-key.pem`),
        '-CAcreateserial',
      ],
      ...['-days', String(days), '-extfile', extensions, '-out', cert],
    );
    writeFileSync(both, this.openssl('x509', '-in', cert) + this.openssl('pkey', '-in', key));
    return { cert, key, both };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
