import { bootScriptsText } from '../../cli/guest-text';

it('tells of each boot script that did not end with 0, and of no other', () => {
  const name = 'web.sh';
  expect(
    bootScriptsText([
      { vm: 'db' },
      { vm: 'web', bootScripts: [{ name, status: 0 }] },
      { vm: 'app', bootScripts: [{ name: 'app.sh', status: 3 }] },
      { vm: 'win', bootScripts: [{ name: 'win.ps1', status: 'unknown', reason: 'the console is empty' }] },
    ]),
  ).toBe(
    'app: its boot script app.sh ended with exit status 3.\n' +
      'win: the exit status of its boot script win.ps1 is not known: the console is empty.\n',
  );
});
