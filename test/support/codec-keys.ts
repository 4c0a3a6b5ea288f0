import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file of keys, as LIFEBOAT_CODEC_KEYS names it, in a directory of its own. */
export class KeyFile {
  private readonly directory = mkdtempSync(join(tmpdir(), 'lifeboat-keys-'));
  readonly file = join(this.directory, 'codec-keys.yaml');

  /** @param keys base64 of each key, by id; made here unless said @returns this */
  write(encrypt: string, keys: Record<string, string | { kms: string }>): this {
    writeFileSync(this.file, JSON.stringify({ encrypt, keys }));
    chmodSync(this.file, 0o600);
    return this;
  }

  text(text: string, mode = 0o600): this {
    writeFileSync(this.file, text);
    chmodSync(this.file, mode);
    return this;
  }

  get env(): NodeJS.ProcessEnv {
    return { LIFEBOAT_CODEC_KEYS: this.file };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const newKey = (): string => randomBytes(32).toString('base64');
