import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchData, placeholderAddress } from '../../guest/launch-data';
import { LAUNCH_DATA, LAUNCH_READER_SCRIPT } from '../../guest/windows/launch-reader';
import { hostileUserData, USER_DATA } from '../support/hostile-user-data';

/** The reader of Windows guests, by its parts: the pattern as JavaScript has it, the text as a parser does. */

const taken = (data: string): boolean => new RegExp(`^(?:${LAUNCH_DATA})$`).test(data);

describe('the pattern of the data', () => {
  it.each([
    USER_DATA,
    launchData({ runId: 'a', addresses: [] }),
    launchData({
      runId: '0199c0de-0000-7000-8000-000000000001',
      addresses: Array.from({ length: 400 }, (_, index) => ({
        placeholder: placeholderAddress(index * 300),
        address: `10.${index % 200}.255.0`,
      })),
    }),
  ])('takes what a launch tells: %j', (data) => {
    expect(taken(data)).toBe(true);
  });

  // What is told twice, left out or too long is found by what is filled in, and its length.
  const byOthers = ['two addresses of one', 'one address too few', '16 KiB and more'];
  it.each(hostileUserData().filter(([what]) => !byOthers.includes(what)))('refuses %s', (_, data) => {
    expect(taken(Buffer.from(data).toString('latin1'))).toBe(false);
  });

  it('is in the script with the anchors of .NET', () => {
    expect(LAUNCH_READER_SCRIPT).toContain(`$data -cnotmatch '\\A${LAUNCH_DATA}\\z'`);
  });
});

it('is told nothing that the tools of an image of AWS would run', () => {
  // EC2Config and EC2Launch look for tags, Cloudbase-Init and cloud-init at the beginning.
  expect(USER_DATA).toMatch(/^lifeboat-launch 1\n[A-Za-z0-9._: \n-]*$/);
});

const SCRIPTS: [string, string][] = [
  ['Read-LaunchData.ps1', LAUNCH_READER_SCRIPT],
  ...['Start-Lifeboat.ps1', 'Prepare-LifeboatGuest.ps1'].map((name): [string, string] => [
    name,
    readFileSync(join(__dirname, '../../guest/windows/prepare', name), 'utf8'),
  ]),
];

/** Kinds of syntax that PowerShell 4.0 does not have. */
const LATER = /class|enum|using|ternary|null_coalesc|pipeline_chain_tail|configuration|workflow|parallel/;
const CMDLETS = [
  ...['Add-Content', 'Copy-Item', 'Get-ChildItem', 'Get-CimInstance', 'Get-Content', 'Get-Date', 'Join-Path'],
  ...['New-Item', 'New-Object', 'Out-Null', 'Remove-Item', 'Set-Content', 'Sort-Object', 'Split-Path'],
  ...['Start-Sleep', 'Test-Path', 'Where-Object', 'Write-Output', 'Write-Warning'],
  ...['cmd.exe', 'icacls.exe', 'ipconfig.exe', 'pnputil.exe', 'powershell.exe', 'schtasks.exe'],
];
const PARSE = `
import json, sys
import tree_sitter_powershell
from tree_sitter import Language, Parser
root = Parser(Language(tree_sitter_powershell.language())).parse(open(sys.argv[1], 'rb').read()).root_node
nodes = []
def walk(node):
    nodes.append([node.type, node.text.decode() if node.type in ('command_name', 'function_name', 'member_name', 'comparison_operator') else ''])
    for child in node.children:
        walk(child)
walk(root)
print(json.dumps({'broken': root.has_error, 'nodes': nodes}))
`;

const python = process.env.LIFEBOAT_PYTHON;
(python === undefined ? describe.skip : describe)('PowerShell of the guest, by a parser', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-powershell-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each(SCRIPTS)('%s is PowerShell 4.0', (name, text) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    const printed = execFileSync(python ?? '', ['-c', PARSE, path], { encoding: 'utf8' });
    const { broken, nodes } = JSON.parse(printed) as { broken: boolean; nodes: [string, string][] };
    expect(broken).toBe(false);
    const texts = (kind: string): string[] => [
      ...new Set(nodes.flatMap(([type, content]) => (type === kind ? [content] : []))),
    ];
    expect(nodes.map(([type]) => type).filter((type) => LATER.test(type))).toEqual([]);
    const known = new Set([...CMDLETS, ...texts('function_name')]);
    expect(texts('command_name').filter((command) => !known.has(command))).toEqual([]);
    expect(texts('member_name')).not.toContain('new');
    // Without a byte order mark, older PowerShell reads a script in the code page of the guest's language.
    expect(text).toMatch(/^[\n -~]*$/);
    // Others ignore case, and what cannot be seen.
    if (name === 'Read-LaunchData.ps1')
      expect(texts('comparison_operator').sort()).toEqual(
        ['-cmatch', '-cnotmatch', '-creplace', '-eq', '-ge', '-gt', '-isnot', '-le', '-lt', '-ne'].sort(),
      );
  });
});
