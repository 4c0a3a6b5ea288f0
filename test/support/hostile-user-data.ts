import { launchData, placeholderAddress } from '../../guest/launch-data';

/** What a launch tells, of the run shop-7. */
export const USER_DATA = launchData({
  runId: 'shop-7',
  addresses: [
    { placeholder: placeholderAddress(0), address: '10.0.1.30' },
    { placeholder: placeholderAddress(10), address: '2001:db8::5' },
    { placeholder: placeholderAddress(1), address: '10.0.1.99' },
  ],
});

/** User data that is not what a launch tells, each with what a Linux guest says of it. */
export function hostileUserData(): [what: string, data: string | Uint8Array, told: RegExp][] {
  const data = USER_DATA;
  const [, ...lines] = data.split('\n');
  return [
    ['a script', '#!/bin/sh\nreboot\n', /none of Lifeboat/],
    ['cloud-config', '#cloud-config\npackages: []\n', /none of Lifeboat/],
    ["EC2Launch's script", '<powershell>Restart-Computer</powershell>\n', /none of Lifeboat/],
    [
      "EC2Launch's script behind it",
      `${data}<powershell>Restart-Computer</powershell>\n`,
      /none of Lifeboat/,
    ],
    ["EC2Launch's tasks", 'version: 1.0\ntasks:\n- task: sysprep\n', /none of Lifeboat/],
    ["Cloudbase-Init's script", '#ps1_sysnative\nRestart-Computer\n', /none of Lifeboat/],
    ['nothing', '', /none of Lifeboat/],
    ['another version', data.replace('launch 1', 'launch 2'), /none of Lifeboat/],
    ['without its header', lines.join('\n'), /none of Lifeboat/],
    ['cut off', data.slice(0, -1), /cut off/],
    ['without a run', data.replace(/^run .*\n/m, ''), /does not name one run/],
    ['with two runs', `${data}run shop-8\n`, /does not name one run/],
    ['a run that is a path', data.replace('shop-7', '../7'), /none of Lifeboat/],
    ['a run of two words', data.replace('shop-7', 'shop 7'), /line 2 /],
    ['a command in an address', data.replace('10.0.1.30', '10.0.1.30;reboot'), /none of Lifeboat/],
    ['an expansion', data.replace('10.0.1.30', '$(reboot)'), /none of Lifeboat/],
    ["sed's separator", data.replace('10.0.1.30', '10.0.1.30|e'), /none of Lifeboat/],
    ['a name for an address', data.replace('10.0.1.30', 'db.example'), /line 3 /],
    ['an address that is none', data.replace('10.0.1.30', '10.0.1.300'), /line 3 /],
    ['a place that is no placeholder', data.replace('198.18.0.1 ', '10.0.1.77 '), /line 3 /],
    ['a placeholder for an address', data.replace('10.0.1.30', '198.18.0.9'), /no address for 198.18.0.9/],
    ['two addresses of one', `${data}address 198.18.0.1 10.0.1.31\n`, /two addresses for 198.18.0.1/],
    ['one address too few', data.replace(/^address 198.18.0.11 .*\n/m, ''), /no address for 198.18.0.11/],
    ['unknown words', `${data}script reboot\n`, /line 6 /],
    ['an empty line', `${data}\n`, /line 6 /],
    ['ends of lines of Windows', data.replaceAll('\n', '\r\n'), /none of Lifeboat/],
    ['zeros', Buffer.from(`${data}\0\n`), /none of Lifeboat/],
    ['other bytes', Buffer.from([0xff, 0xfe, 0x0a]), /none of Lifeboat/],
    ['gzip', Buffer.from('1f8b08000000000000', 'hex'), /none of Lifeboat/],
    ['16 KiB and more', `${data}${'address 198.18.9.9 10.0.0.1\n'.repeat(700)}`, /too long/],
    ['a line without end', `lifeboat-launch 1\nrun ${'a'.repeat(16000)}\n`, /line 2 /],
  ];
}
