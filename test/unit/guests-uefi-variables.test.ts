import { withBootEntry } from '../../sandbox/guests/families/uefi-variables';

/** A firmware volume's header as OVMF has it, with an empty store of authenticated variables. */
function blank(storeBytes: number): Buffer {
  const volume = Buffer.alloc(72 + storeBytes, 0xff);
  volume.writeUInt16LE(72, 48);
  Buffer.from('782cf3aa7b949a43a1802e144ec37792', 'hex').copy(volume, 72);
  volume.writeUInt32LE(storeBytes, 88);
  return volume;
}

const entry = {
  description: 'sample',
  partition: { number: 1, firstSector: 2048, sectors: 131072, guid: '5e9f2f6c-3b4e-4d5c-9a3e-0c6f2f0a1b20' },
  path: '\\EFI\\debian\\shimx64.efi',
};

describe('the memory of UEFI firmware', () => {
  it('gets an entry, and an order that has it first', () => {
    const variables = withBootEntry(blank(4096), entry);
    expect(variables).toHaveLength(4096 + 72);
    for (const [text, times] of [
      ['Boot0000\0', 1],
      ['BootOrder\0', 1],
      [`${entry.path}\0`, 1],
    ] as const)
      expect(
        variables.toString('latin1').split(Buffer.from(text, 'utf16le').toString('latin1')),
      ).toHaveLength(times + 1);
    // A GUID's first three numbers are stored with the lowest byte first.
    expect(variables.includes(Buffer.from('6c2f9f5e4e3b5c4d9a3e0c6f2f0a1b20', 'hex'))).toBe(true);
    expect(variables.readUInt16LE(100)).toBe(0x55aa);
  });

  it('puts a second writing behind the first', () => {
    const once = withBootEntry(blank(4096), entry);
    const twice = withBootEntry(once, entry);
    const end = once.findLastIndex((byte) => byte !== 0xff);
    expect(twice.subarray(0, end).equals(once.subarray(0, end))).toBe(true);
    expect(twice.equals(once)).toBe(false);
  });

  it('is refused where it has another layout, or no room', () => {
    expect(() => withBootEntry(Buffer.alloc(4096), entry)).toThrow('no layout that is known');
    expect(() => withBootEntry(blank(120), entry)).toThrow('no room');
  });
});
