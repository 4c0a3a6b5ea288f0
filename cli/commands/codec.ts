import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import { listenAddress } from '../../host/listen-address';
import { isLoopbackHost } from '../../plan/loopback-host';
import { startCodecServer } from '../../wire/codec-server';
import { codecsOf } from '../../wire/data-converter';
import { isTokenOf, tokensOf } from '../../wire/tokens';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, type CliIo } from '../io';

interface Options {
  listen: string;
  origin: string[];
  tokenFile?: string;
  /** False with `--no-token`. */
  token: boolean;
  tlsCert?: string;
  tlsKey?: string;
}

/** `codec`: what Temporal's Web UI and CLI ask to show encrypted payloads; in the foreground, as `worker`. */
export function codecCommand({ io }: CliContext): Command {
  return new Command('codec')
    .description(
      "serve Temporal's remote codec protocol, by which its Web UI and CLI show encrypted payloads (docs/wire.md)",
    )
    .addOption(new Option('--listen <address>', 'IP address and port').default('127.0.0.1:8888'))
    .addOption(
      new Option('--origin <url>', 'of the Web UI, such as https://temporal.example; may be given again')
        .default([], 'none')
        .argParser((value: string, before: string[]) => [...before, originOf(value)]),
    )
    .option('--token-file <file>', 'tokens that are let in, one a line')
    .option('--no-token', 'ask for none; on a loopback address only')
    .option(
      '--tls-cert <file>',
      'certificate of this server, with its chain; needed on other addresses than loopback',
    )
    .option('--tls-key <file>', 'key of the certificate')
    .action(async (options: Options) => {
      const listen = listenAddress(options.listen);
      if (listen === undefined)
        throw bad(
          `--listen ${options.listen}: must be an IP address and a port, such as 127.0.0.1:8888 or [::1]:8888.`,
        );
      const { host, port } = listen;
      const file = io.env.LIFEBOAT_CODEC_KEYS ?? '';
      if (file === '') throw bad('LIFEBOAT_CODEC_KEYS is not set: it names the file of keys (docs/wire.md).');
      const tls = tlsFiles(options, io.cwd);
      const loopback = isLoopbackHost(host);
      if (!loopback && tls === undefined)
        throw bad(
          `On ${host}, what is decrypted would go in the clear: give --tls-cert and --tls-key, or listen on 127.0.0.1.`,
        );
      const accepts = tokenCheck(options, loopback, io);
      const server = await startCodecServer({
        ...{ host, port, tls, origins: options.origin, accepts },
        codecOf: codecsOf(path.resolve(io.cwd, file)),
        namespace: io.env.TEMPORAL_NAMESPACE ?? 'default',
      }).catch((cause: unknown) => {
        throw bad(
          `${options.listen} cannot be listened on: ${(cause as NodeJS.ErrnoException).code}.`,
          cause,
        );
      });
      const pages =
        options.origin.length === 0 ? 'no pages (--origin)' : `pages of ${options.origin.join(', ')}`;
      io.err(`Codec at ${server.url}, for programs and ${pages}. Ctrl-C ends it.\n`);
      await new Promise<void>((resolve) => {
        io.onInterrupt(resolve);
      });
      await server.close();
    });
}

const bad = (message: string, cause?: unknown): CliError =>
  new CliError(message, EXIT.badInput, {}, { cause });

/** Whether a token is good; undefined where none is asked for. The file is read once at the start, to tell what is wrong with it. */
function tokenCheck(
  { tokenFile, token }: Options,
  loopback: boolean,
  { cwd }: CliIo,
): ((sent: string) => boolean) | undefined {
  if (tokenFile !== undefined) {
    const file = path.resolve(cwd, tokenFile);
    tokensOf(file);
    return (sent) => isTokenOf(file, sent);
  }
  if (token) throw bad('Who may ask is told by --token-file FILE, or by --no-token on a loopback address.');
  if (!loopback) throw bad('--no-token is for a loopback address: others need --token-file.');
  return undefined;
}

function tlsFiles({ tlsCert, tlsKey }: Options, cwd: string): { cert: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw bad('--tls-cert and --tls-key are needed together.');
  const read = (file: string): string => {
    try {
      return readFileSync(path.resolve(cwd, file), 'utf8');
    } catch (cause) {
      throw bad(`${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}.`, cause);
    }
  };
  const [cert, key] = [read(tlsCert), read(tlsKey)];
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw bad(
      `${tlsCert} and ${tlsKey} must be a certificate and its key, without a passphrase, in PEM.`,
      cause,
    );
  }
  if (!fits) throw bad(`${tlsKey} is not the key of ${tlsCert}.`);
  return { cert, key };
}

/** As a browser says it. */
function originOf(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '')
    throw bad(
      `--origin ${value}: must be the Web UI's scheme, host and port, such as https://temporal.example.`,
    );
  return url.origin;
}
