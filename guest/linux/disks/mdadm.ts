import { parseDiskName } from '../../disk/disk-name';
import { commentOutWithReplacement, withBlock } from '../changes/marked-text';

/** Debian's and Red Hat's. */
export const MDADM_CONFIGURATIONS = ['/etc/mdadm/mdadm.conf', '/etc/mdadm.conf'];

/**
 * An mdadm.conf that looks for members on EC2's disks too: a DEVICE line of the primary site's names hides them, and
 * `devices=` of an array asks for those names. Arrays are told by their UUIDs, or by their names.
 */
export function mdadmForRecoverySite(text: string): string {
  const lines = text.split('\n');
  const statements = lines.filter((line) => /^\s*DEV(I(C(E)?)?)?\s/i.test(line));
  const hidden =
    statements.length > 0 &&
    !statements.some((line) => /\s(partitions|\/dev\/(nvme|\*|disk\/by-id\/nvme-)\S*)/.test(line));
  const arrays = commentOutWithReplacement(text, (line) =>
    line.replace(/\s+devices=(\S+)/g, (whole, devices: string) =>
      devices.split(',').every((device) => isLasting(device)) ? whole : '',
    ),
  );
  // Further lines add to it.
  return hidden ? withBlock(arrays, ['DEVICE partitions containers']) : arrays;
}

function isLasting(device: string): boolean {
  const kind = parseDiskName(device)?.kind;
  return kind === 'tag' || kind === 'made';
}
