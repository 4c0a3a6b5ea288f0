import { type CopyResult } from '../activities/copy-result';
import { bytesText, secondsText } from './numbers';

/** Columns for what copying a disk came to. */
export const COPY_HEAD = ['blocks', 'bytes', 'time'];

export const copyRow = ({ blocks, bytes, seconds }: CopyResult): string[] => [
  String(blocks),
  bytesText(bytes),
  secondsText(seconds),
];
