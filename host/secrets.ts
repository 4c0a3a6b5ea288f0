/**
 * What this process knows and must not tell, and the one place where it is taken out of texts: of errors before they become a failure of
 * a run, and of everything that is written to a log or to a terminal.
 */

/** Shorter values are words that stand in texts for other reasons; no service here takes such a secret. */
const LEAST_CHARACTERS = 8;
/** Sessions come and go while a worker lives; who learns a new one forgets the oldest. Each has two parts, or one. */
const MOST_OF_SESSIONS = 200;

/** Names of variables of the environment that hold a secret. */
const SECRET_NAME =
  /SECRET|PASSW|TOKEN|API_?KEY|PRIVATE_?KEY|KEY_DATA|CREDENTIAL|CODEC_KEY|OTLP_(.*_)?HEADERS/i;
/** Of these, names and places: what is in them is to be found in messages. */
const NO_SECRET =
  /_(FILE|PATH|URI|URL|ENDPOINT|PROFILE|EXPIRATION)$|^LIFEBOAT_(WEBHOOK_SECRETS|CODEC_KEYS)$|^AWS_ACCESS_KEY_ID$/i;

/** With their forms: texts are cleaned far more often than secrets are learned. */
type Kept = Map<string, readonly string[]>;

const lasting: Kept = new Map();
const ofSessions: Kept = new Map();

/** From now on, {@link withoutSecrets} takes these out of every text. Twice is as once; undefined is nothing. */
export function keepSecret(...values: readonly (string | undefined)[]): void {
  for (const value of values) keep(lasting, value);
}

/** The same of what a session has and the next one has no more: keys that AWS lends, cookies. */
export function keepSessionSecret(...values: readonly (string | undefined)[]): void {
  for (const value of values) keep(ofSessions, value);
  for (const oldest of ofSessions.keys()) {
    if (ofSessions.size <= MOST_OF_SESSIONS) return;
    ofSessions.delete(oldest);
  }
}

function keep(kept: Kept, value: string | undefined): void {
  if (value === undefined || value.length < LEAST_CHARACTERS) return;
  const forms = kept.get(value) ?? formsOf(value);
  // The newest last.
  kept.delete(value);
  kept.set(value, forms);
}

/** Whether a variable of the environment holds a secret, by its name. */
export const isSecretVariable = (name: string): boolean => SECRET_NAME.test(name) && !NO_SECRET.test(name);

/** Secrets of the environment; read anew each time, as commands put the sandbox's into it. */
function inEnvironment(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value = '']) =>
    isSecretVariable(name)
      ? [value, ...partsOf(name, value)].filter((part) => part.length >= LEAST_CHARACTERS)
      : [],
  );
}

/** Several may stand in one: webhooks' while they are changed; headers of OpenTelemetry's, as `key=value,key=value`. */
const partsOf = (name: string, value: string): string[] =>
  /HEADERS$/i.test(name)
    ? value.split(',').map((header) => header.slice(header.indexOf('=') + 1).trim())
    : value.split(/\s+/);

/** A secret as it may stand in a text: as it is, and as URLs, XML, JSON, headers and dumps have it. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const base64 = bytes.toString('base64').replace(/=+$/, '');
  const hex = bytes.toString('hex');
  return [
    ...new Set([
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ s: secret }).toString().slice(2),
      JSON.stringify(secret).slice(1, -1),
      secret
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;'),
      ...[base64, base64.replaceAll('+', '-').replaceAll('/', '_')],
      ...[hex, hex.toUpperCase()],
    ]),
  ];
}

/** What stands for a secret that was taken out. */
const GONE = '…';

/** A text for logs, histories and people: secrets that this process knows are out, and what looks like one. */
export function withoutSecrets(text: string, env: NodeJS.ProcessEnv = process.env): string {
  const known = [
    ...[...lasting.values(), ...ofSessions.values()].flat(),
    ...[...new Set(inEnvironment(env))].flatMap(formsOf),
  ];
  // The longest first: one may be a part of another.
  const clean = known
    .sort((a, b) => b.length - a.length)
    .reduce((left, secret) => (left.includes(secret) ? left.replaceAll(secret, GONE) : left), text);
  return withoutWhatLooksSecret(clean);
}

/** What others' messages quote: keys, signatures, authorizations, private keys and cookies of sessions. */
function withoutWhatLooksSecret(text: string): string {
  return text
    .replace(/\b(AKIA|ASIA)[A-Z0-9]{12,}\b/g, '$1…')
    .replace(/(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s"'<]+/gi, '$1…')
    .replace(/((?:Signature|Credential)=)[^,&\s"'<]+/g, '$1…')
    .replace(/((?:secret|password|token)[\w-]*["']?\s*[:=]\s*["']?)[^\s"',;&<]+/gi, '$1…')
    .replace(/(authorization["']?\s*[:=]\s*["']?(?:basic|bearer)\s+)[^\s"',;<]+/gi, '$1…')
    .replace(/(vmware_soap_session["']?\s*[:=]\s*)("[^"]*"|[^\s"',;<]+)/gi, '$1…')
    .replace(/\bwhsec_[A-Za-z0-9+/]+=*/g, 'whsec_…')
    .replace(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
      '(a private key)',
    )
    .replace(/\s*Encoded authorization failure message: \S+/g, '')
    .replace(/The Canonical String for this request should have been[\s\S]*/, '');
}
