import { type Evidence, type EvidenceStep } from '../../../../repository/evidence/document';
import { html, type Html } from './html';

/** The picture of a run: a row a VM, a bar a step, the time from left to right. */

const NAMES = 150;
const WIDTH = 1000;
const RIGHT = 16;
const TOP = 26;
/** Rows that are drawn with room to read them; of more, each is as thin as can be told apart. */
const READABLE_ROWS = 60;
/** A step is seen even where it took no time. */
const LEAST_BAR = 1.5;

const COLOURS: [RegExp, kind: string, colour: string][] = [
  [/^(waitUntilReady|requireBootScripts|readBootScripts|checkDns)$/, 'wait until it answers', '#2f855a'],
  [/^(launch\w+|startInstance|replaceRootVolume|startVm|configureAndStartVm)$/, 'launch and boot', '#2b6cb0'],
  [/^(remove\w+|discard\w+|deregister\w+|delete\w+|stop\w+|shutDownVm)$/, 'stop and remove', '#805ad5'],
  [/^(moveDns|returnDns|inspectDns)$/, 'DNS', '#b7791f'],
  [/^(keepConsoles|writeEvidence)$/, 'proof', '#319795'],
  [/./, 'prepare and check', '#718096'],
];
const TROUBLE = '#c53030';

const colourOf = ({ step, outcome }: EvidenceStep): string =>
  outcome === 'failed' || outcome === 'timed out'
    ? TROUBLE
    : (COLOURS.find(([pattern]) => pattern.test(step))?.[2] ?? '#718096');

export function timelineSvg({ run, vms, timeline }: Pick<Evidence, 'run' | 'vms' | 'timeline'>): Html {
  const begin = Date.parse(run.startedAt);
  const end = Math.max(Date.parse(run.endedAt), begin + 1000);
  const x = (time: string): number =>
    NAMES +
    ((Math.min(Math.max(Date.parse(time), begin), end) - begin) / (end - begin)) * (WIDTH - NAMES - RIGHT);
  const rows = ['the run', ...vms.map(({ vm }) => vm)];
  const readable = rows.length <= READABLE_ROWS;
  const height = readable ? 22 : 5;
  const y = (row: number): number => TOP + row * height;
  const rowOf = new Map(vms.map(({ vm }, index) => [vm, index + 1]));
  const total = y(rows.length) + 8;
  const bars = timeline.map((step) => {
    const row = step.vm === null ? 0 : (rowOf.get(step.vm) ?? 0);
    const [from, to] = [x(step.from), x(step.to ?? run.endedAt)];
    const title = `${step.label}: ${step.from} to ${step.to ?? 'not ended'}, ${step.tries} tries, ${step.outcome}`;
    return html`<rect
      x="${from.toFixed(1)}"
      y="${y(row) + (readable ? 4 : 1)}"
      width="${Math.max(LEAST_BAR, to - from).toFixed(1)}"
      height="${readable ? height - 8 : height - 1}"
      fill="${colourOf(step)}"
      fill-opacity="0.75"
      ><title>${title}</title></rect
    >`;
  });
  const ready = vms.flatMap(({ vm, readyAt }) =>
    readyAt === null
      ? []
      : [
          html`<path
            d="M ${x(readyAt).toFixed(1)} ${y(rowOf.get(vm) ?? 0)} v ${height}"
            stroke="#22543d"
            stroke-width="2"
            ><title>${vm} was ready at ${readyAt}</title></path
          >`,
        ],
  );
  return html`<svg
      viewBox="0 0 ${WIDTH} ${total}"
      role="img"
      aria-label="Timeline of VMs and steps"
      xmlns="http://www.w3.org/2000/svg"
    >
      ${ticks(begin, end).map(({ at, label }) => {
        const place = x(new Date(at).toISOString()).toFixed(1);
        return html`<path d="M ${place} ${TOP - 4} V ${total - 8}" stroke="#cbd5e0" stroke-width="0.6" /><text
            x="${place}"
            y="${TOP - 9}"
            font-size="11"
            text-anchor="middle"
            fill="#4a5568"
            >${label}</text
          > `;
      })}${
        readable
          ? rows.map(
              (name, row) =>
                html`<text x="${NAMES - 8}" y="${y(row) + 15}" font-size="12" text-anchor="end" fill="#1a202c"
                  >${name.length > 22 ? `${name.slice(0, 21)}…` : name}</text
                > `,
            )
          : html`<text x="${NAMES - 8}" y="${y(1) + 12}" font-size="12" text-anchor="end" fill="#1a202c"
              >${vms.length} VMs</text
            >`
      }${bars}${ready}
    </svg>
    <p class="legend">
      ${COLOURS.map(([, kind, colour]) => legend(colour, kind))}${legend(TROUBLE, 'failed')}
      ${legend('#22543d', 'ready (line)')}
    </p>`;
}

const legend = (colour: string, kind: string): Html =>
  html`<span
    ><svg class="key" viewBox="0 0 10 10"><rect width="10" height="10" fill="${colour}" /></svg> ${kind}</span
  > `;

const STEPS_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];

/** Some eight round times since the beginning. */
function ticks(begin: number, end: number): { at: number; label: string }[] {
  const seconds = (end - begin) / 1000;
  const step = STEPS_SECONDS.find((one) => seconds / one <= 9) ?? seconds / 8;
  const found = [];
  for (let at = 0; at <= seconds; at += step) found.push({ at: begin + at * 1000, label: `+${clock(at)}` });
  return found;
}

function clock(seconds: number): string {
  const [hours, minutes, rest] = [
    Math.floor(seconds / 3600),
    Math.floor(seconds / 60) % 60,
    Math.floor(seconds % 60),
  ];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
