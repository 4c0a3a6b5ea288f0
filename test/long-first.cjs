const { default: Sequencer } = require('@jest/test-sequencer');

/** Files that start hundreds of tools: one of the two processes has them while the other has the longest, which waits most of the time. */
const MANY_TOOLS = [
  'unit/guest-stay',
  'unit/guest-disk-names',
  'unit/guest-network-managers',
  'hostile/guest',
  'unit/guest-originals',
  'unit/guest-adapt',
  'hostile/guest-files',
  'unit/guest-disk',
];

/** Of the files that boot guests or start many tools, the longest first: beside two more of the kind, guests would boot too slowly. */
const BUSY = [
  'e2e/failover',
  ...MANY_TOOLS,
  'unit/guest-windows-disk',
  'contract/guest-boot-judged',
  'unit/guest-appliance',
  'e2e/families',
  'e2e/survivors',
  'e2e/fence-and-undo',
  'unit/appliance',
  'e2e/unprivileged',
  'contract/rehearsal',
  'contract/windows-launch-copy',
  'hostile/guest-disk',
].map((name) => `test/${name}.test.ts`);

/**
 * All that take long, the longest first, so that at the end of a round no process has one of them to itself while the others are
 * idle; the two whose guests boot not at one time, however. In a fresh clone jest knows no times of its own, and goes by the sizes of files, which say nothing. A file that is
 * missing here costs a minute at most.
 */
const LONGEST = [
  ...BUSY,
  ...[
    // Two guests that take long to boot, beside others that mostly wait.
    'e2e/families-boot',
    'e2e/twice',
    'e2e/truth-in-sites',
    'e2e/attention',
    'e2e/chaos',
    'e2e/deployments',
    'e2e/crash',
    'e2e/vsphere',
    'e2e/replication',
  ].map((name) => `test/${name}.test.ts`),
];

/** The order in which jest starts test files: {@link LONGEST} first, the others as jest has them. */
module.exports = class LongFirst extends Sequencer {
  async sort(tests) {
    const place = ({ path }) => {
      const found = LONGEST.findIndex((end) => path.endsWith(`/${end}`));
      return found < 0 ? LONGEST.length : found;
    };
    return (await super.sort(tests)).toSorted((one, other) => place(one) - place(other));
  }
};
module.exports.BUSY = BUSY;
