/** An archive that is none: cut off, damaged, or larger than any initramfs is. */
export class ArchiveDamagedError extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'ArchiveDamagedError';
  }
}

export type ArchiveEntryType = 'file' | 'directory' | 'symlink' | 'other';

export interface ArchiveEntry {
  /** Without a leading "/" or "./". */
  path: string;
  type: ArchiveEntryType;
  /** Target of a symbolic link, or the content of a file that was asked for. Latin-1. */
  content: string | undefined;
}

/** Header of the "newc" form and its checksummed sibling: the magic and 13 numbers of 8 hex digits. */
const HEADER_BYTES = 110;
const MAGIC = /^07070[12][0-9a-fA-F]{104}$/;
const TRAILER = 'TRAILER!!!';
/** As long as paths and targets of symbolic links are for Linux (PATH_MAX), with the zero. */
const MAX_NAME_BYTES = 4097;
/** Of a file that was asked for: a few lines of configuration; lvm.conf, the longest, has 110 KiB. */
const MAX_CONTENT_BYTES = 512 * 1024;
/** An initramfs with all drivers of a distribution has about 5,000. */
const MAX_ENTRIES = 100_000;
/** Contents that were asked for, together. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

type State = 'between' | 'header' | 'name' | 'content';

/**
 * Reads cpio archives as the kernel does (init/initramfs.c): one after the other, zeros between them, each piece padded
 * to four bytes. Of the contents it keeps only what is asked for; memory does not grow with the archive.
 */
export class CpioReader {
  /** Bytes that belong to archives and to the zeros between them. */
  consumed = 0;
  private state: State = 'between';
  /** What has come of the piece that is being read; undefined for a content that is skipped. */
  private kept: Buffer[] | undefined;
  private missing = 0;
  private padding = 0;
  private header = { mode: 0, contentBytes: 0 };
  private entryPath = '';
  private entries = 0;
  private keptBytes = 0;
  private trailers = 0;

  constructor(
    private readonly wants: (path: string) => boolean,
    private readonly onEntry: (entry: ArchiveEntry) => void,
  ) {}

  /** Whether what was read ends with an archive's end. */
  get isComplete(): boolean {
    return this.state === 'between' && this.trailers > 0;
  }

  /** Whether not even the beginning of an archive was there. */
  get isEmpty(): boolean {
    return this.state === 'between' && this.trailers === 0;
  }

  /**
   * @returns how many bytes of the piece were taken; fewer than all where something else than an archive follows
   * @throws ArchiveDamagedError
   */
  push(piece: Buffer): number {
    let at = 0;
    while (at < piece.length) {
      if (this.state === 'between') {
        const byte = piece[at];
        if (byte === 0) {
          at++;
          this.consumed++;
          continue;
        }
        if (byte !== 0x30 || this.consumed % 4 !== 0) return at;
        this.begin('header', HEADER_BYTES, 0, true);
      }
      const length = Math.min(this.missing + this.padding, piece.length - at);
      const content = Math.min(this.missing, length);
      if (content > 0) this.kept?.push(Buffer.from(piece.subarray(at, at + content)));
      this.missing -= content;
      this.padding -= length - content;
      at += length;
      this.consumed += length;
      if (this.missing + this.padding === 0) this.end();
    }
    return at;
  }

  private begin(state: State, bytes: number, alignedFrom: number, keep: boolean): void {
    this.state = state;
    this.kept = keep ? [] : undefined;
    this.missing = bytes;
    this.padding = (4 - ((alignedFrom + bytes) % 4)) % 4;
    if (state === 'header') this.padding = 0;
  }

  private end(): void {
    const piece = this.kept === undefined ? undefined : Buffer.concat(this.kept).toString('latin1');
    if (this.state === 'header') this.endHeader(piece ?? '');
    else if (this.state === 'name') this.endName(piece ?? '');
    else this.endContent(piece);
  }

  private endHeader(text: string): void {
    if (!MAGIC.test(text)) throw new ArchiveDamagedError('an entry of its archive is damaged');
    const field = (index: number): number => Number.parseInt(text.slice(6 + index * 8, 14 + index * 8), 16);
    const nameBytes = field(11);
    if (nameBytes === 0 || nameBytes > MAX_NAME_BYTES)
      throw new ArchiveDamagedError('a name in its archive has an impossible length');
    if (++this.entries > MAX_ENTRIES)
      throw new ArchiveDamagedError(`its archive has more than ${MAX_ENTRIES} entries`);
    this.header = { mode: field(1), contentBytes: field(6) };
    this.begin('name', nameBytes, HEADER_BYTES, true);
  }

  private endName(text: string): void {
    const name = text.replace(/\0[^]*$/, '');
    if (name === TRAILER) {
      this.trailers++;
      this.state = 'between';
      return;
    }
    this.entryPath = name.replace(/^(\.?\/)+/, '');
    const type = typeOf(this.header.mode);
    const { contentBytes } = this.header;
    const keep = type === 'symlink' || (type === 'file' && this.wants(this.entryPath));
    const limit = type === 'symlink' ? MAX_NAME_BYTES : MAX_CONTENT_BYTES;
    if (keep && (contentBytes > limit || (this.keptBytes += contentBytes) > MAX_KEPT_BYTES))
      throw new ArchiveDamagedError(
        `${JSON.stringify(this.entryPath.slice(0, 100))} in it is larger than it can be`,
      );
    this.begin('content', contentBytes, 0, keep);
    if (this.missing === 0) this.end();
  }

  private endContent(content: string | undefined): void {
    this.state = 'between';
    this.onEntry({ path: this.entryPath, type: typeOf(this.header.mode), content });
  }
}

/** By the type bits of stat(2). */
function typeOf(mode: number): ArchiveEntryType {
  switch (mode & 0o170000) {
    case 0o100000:
      return 'file';
    case 0o040000:
      return 'directory';
    case 0o120000:
      return 'symlink';
    default:
      return 'other';
  }
}
