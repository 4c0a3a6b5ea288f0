/**
 * Imports run downwards only (types count, too): `npm run verify` holds it. What each room is for: README, "Where things are".
 */

/** From the ground up. A room imports from rooms further down, and from its own. */
const FLOORS = [
  ['host'],
  ['plan', 'blocks', 'machines'],
  ['repository', 'hypervisor', 'guest'],
  ['activities'],
  ['workflows'],
  ['wire'],
  ['client', 'workers'],
  ['cli', 'bench', 'sandbox'],
];

const inside = (rooms) => `^(${rooms.join('|')})/`;

/** Rooms on one floor do not know each other, but for these. */
const NEIGHBOURS = [
  // A backup's manifest has the VM's configuration in it, as the port describes it.
  { from: '^repository/', to: '^hypervisor/port\\.ts$' },
  // Commands that need the repository's checkout; loaded when they are called, and in no published package.
  { from: '^cli/commands/(demo|sandbox)\\.ts$', to: '^sandbox/' },
  // The demo and the benchmarks are users of the command and of the sandbox.
  { from: '^(sandbox|bench)/', to: '^(cli|sandbox)/' },
];

const upwards = FLOORS.slice(0, -1).map((rooms, floor) => ({
  name: `upwards-from-${rooms.join('-')}`,
  comment: 'Imports run downwards only: move what is needed down, or have it passed in.',
  severity: 'error',
  from: { path: inside(rooms) },
  to: { path: inside(FLOORS.slice(floor + 1).flat()) },
}));

const sideways = FLOORS.flatMap((rooms) =>
  rooms.map((room) => {
    const neighbours = rooms.filter((other) => other !== room);
    const allowed = NEIGHBOURS.filter(({ from }) => new RegExp(from).test(`${room}/`));
    return { room, neighbours, allowed };
  }),
)
  .filter(({ neighbours }) => neighbours.length > 0)
  .map(({ room, neighbours, allowed }) => ({
    name: `sideways-from-${room}`,
    comment: 'Rooms of one floor do not know each other: what both need belongs below them.',
    severity: 'error',
    from: {
      path: inside([room]),
      pathNot: NEIGHBOURS.filter(({ from }) => from.includes('.ts')).map(({ from }) => from),
    },
    to: { path: inside(neighbours), pathNot: allowed.map(({ to }) => to) },
  }));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'circle',
      comment: 'What both need belongs into a file of its own.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...upwards,
    ...sideways,
    {
      name: 'schemas-in-workflows',
      comment:
        'A schema brings zod into the bundle that every control worker loads: what workflows run belongs in a file without one.',
      severity: 'error',
      // plan/without.ts and plan/record-vms.ts are what workflows run of the plan's room, and come near a schema.
      from: { path: '^(workflows/|plan/(without|record-vms|lines|instant|fence)\\.ts)' },
      to: {
        path: '^(plan/(schema|normalized|load|check|dns-record|duration|probes|replication-limit)\\.ts|node_modules/zod/)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'commands-on-the-sandbox',
      comment: 'Only the commands that are about the sandbox know it.',
      severity: 'error',
      from: { path: '^cli/', pathNot: '^cli/commands/(demo|sandbox)\\.ts$' },
      to: { path: '^(sandbox|bench)/' },
    },
    {
      name: 'account-on-a-stage',
      comment: 'activities/aws-proxy/account is what all stages stand on.',
      severity: 'error',
      from: { path: '^activities/aws-proxy/account/' },
      to: { path: '^activities/aws-proxy/', pathNot: '^activities/aws-proxy/account/' },
    },
    {
      name: 'run-on-a-workflow',
      comment: 'workflows/run is what carries every run.',
      severity: 'error',
      from: { path: '^workflows/run/' },
      to: { path: '^workflows/', pathNot: '^workflows/run/' },
    },
    {
      name: 'product-on-tests',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'unresolved',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    // Packages that say what they export by condition only, without a `main`.
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
    exclude: { path: '^(node_modules|dist|\\.lifeboat|coverage)/' },
  },
};
