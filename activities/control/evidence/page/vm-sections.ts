import { secondsText } from '../../../../plan/seconds-text';
import { type EvidenceStep, type EvidenceVm } from '../../../../repository/evidence/document';
import { html, Html, type HtmlValue } from './html';
import { type PageOf } from './page-of';
import { code, lines, NOT_RECORDED, orNot, section, table } from './tables';

export function vmsSection({ vms }: PageOf): Html {
  return section(
    'Virtual machines',
    table(
      ['VM', 'tier', 'outcome', 'recovery point', 'instance', 'probe', 'boot script'],
      vms.map((vm) => [
        html`<b>${vm.vm}</b
          >${vm.dependsOn.length === 0 ? '' : html`<br /><span class="quiet">after ${vm.dependsOn.join(', ')}</span>`}`,
        orNot(vm.tier),
        lines([
          vm.outcome,
          vm.readyAt === null ? '' : `ready at ${vm.readyAt}`,
          vm.leftOut === null ? '' : `${vm.leftOut.by ?? 'the plan calls it optional'}: ${vm.leftOut.why}`,
          ...vm.warnings,
        ]),
        recoveryPoint(vm),
        instance(vm),
        probe(vm),
        vm.bootScripts.length === 0
          ? 'none in the run'
          : lines(
              vm.bootScripts.map(
                ({ name, status, reason }) =>
                  `${name}: ${status === 'unknown' ? `not known (${reason ?? 'no reason given'})` : `exit status ${status}`}`,
              ),
            ),
      ]),
      'None.',
    ),
  );
}

function recoveryPoint({ recoveryPoint: point }: EvidenceVm): HtmlValue {
  if (point === null) return NOT_RECORDED;
  const age =
    point.ageSeconds === null ? 'age not recorded' : `${secondsText(point.ageSeconds)} before the start`;
  return lines([
    code(point.backupId),
    `${orNot(point.takenAt)}, ${age}`,
    `consistency: ${orNot(point.consistency)}`,
    ...point.disks.map(
      ({ key, snapshotId }) => html`${key}: ${snapshotId === null ? NOT_RECORDED : code(snapshotId)}`,
    ),
    ...(point.launchCopySnapshots.length === 0
      ? []
      : [html`launch copy: ${lines(point.launchCopySnapshots.map(code))}`]),
  ]);
}

function instance({ instance: found, wanted, capacityFallbacks }: EvidenceVm): HtmlValue {
  return lines([
    ...(found === null
      ? ['none']
      : [
          code(found.id),
          `${orNot(found.type)}, ${orNot(found.availabilityZone)}`,
          `${orNot(found.privateAddress)}${found.publicAddress === null ? '' : `, ${found.publicAddress}`}`,
          `launched by: ${orNot(found.launchedBy)}`,
        ]),
    html`<span class="quiet"
      >wanted: ${wanted.instanceTypes.join(', ')} in ${wanted.subnets.join(', ')}</span
    >`,
    ...capacityFallbacks.map(
      ({ at, instanceType, subnet }) => `no capacity for ${orNot(instanceType)} in ${orNot(subnet)} at ${at}`,
    ),
  ]);
}

/** A probe that answers at once has not taken no time. */
const soon = (seconds: number): string => (seconds < 10 ? `${seconds} s` : secondsText(seconds));

function probe({ probe: asked }: EvidenceVm): HtmlValue {
  if (asked === null) return NOT_RECORDED;
  const answer = asked.answered
    ? `answered after ${orNot(asked.seconds === null ? null : soon(asked.seconds))}`
    : `did not answer: ${asked.error ?? 'the run ended before'}`;
  return lines([...asked.asked, `${answer}${asked.at === null ? '' : ` (${asked.at})`}`]);
}

/** What the VMs' screens showed when they answered, and what EC2's status checks said. */
export function bootProofSection({ vms }: PageOf, pictures: ReadonlyMap<string, Buffer>): Html {
  const proofs = vms.flatMap((vm) => (vm.bootProof === null ? [] : [{ vm: vm.vm, proof: vm.bootProof }]));
  if (proofs.length === 0) return section('Boot proof', html`<p>Consoles: ${NOT_RECORDED}.</p>`);
  const figures = proofs.map(({ vm, proof: { takenAt, ready, statusChecks, screenshot } }) => {
    const bytes = screenshot === null ? undefined : pictures.get(screenshot.key);
    const checks =
      statusChecks === null
        ? `status checks: ${NOT_RECORDED}`
        : `system check ${statusChecks.system}, instance check ${statusChecks.instance}`;
    const picture =
      screenshot === null
        ? html`<p>No picture of the screen: ${NOT_RECORDED}.</p>`
        : bytes === undefined
          ? html`<p>The picture is in the backup repository: ${code(screenshot.key)}</p>`
          : // Base64 holds nothing that HTML would read.
            new Html(`<img alt="screen" src="data:image/jpeg;base64,${bytes.toString('base64')}">`);
    return html`<figure>
      ${picture}
      <figcaption>
        <b>${vm}</b> at ${takenAt}${ready ? '' : ', when it had not answered in time'}:
        ${checks}${screenshot?.sha256 ? html`<br /><span class="quiet">SHA-256 ${code(screenshot.sha256)}</span>` : ''}
      </figcaption>
    </figure> `;
  });
  return section('Boot proof', html`<div class="screens">${figures}</div>`);
}

/** Rows of steps that a page has; all are in the document. Some 300 pages of paper. */
const STEPS_ON_THE_PAGE = 5000;

const went = ({ outcome, tries, error }: EvidenceStep): boolean =>
  outcome === 'done' && tries <= 1 && error === null;

export function stepsSection({ timeline }: PageOf): Html {
  const all = timeline.length <= STEPS_ON_THE_PAGE;
  const shown = all ? timeline : timeline.filter((step) => !went(step)).slice(0, STEPS_ON_THE_PAGE);
  return section(
    'Steps',
    all
      ? ''
      : html`<p>
          The run has ${timeline.length} steps, which are all in the document; these are those that did not
          come to a good end at their first try.
        </p>`,
    table(
      ['from', 'seconds', 'VM', 'step', 'tries', 'outcome', 'worker'],
      shown.map((step) => [
        step.from,
        step.to === null ? 'not ended' : ((Date.parse(step.to) - Date.parse(step.from)) / 1000).toFixed(1),
        step.vm ?? '',
        step.label,
        step.tries,
        step.error === null
          ? step.outcome
          : lines([step.outcome, html`<span class="quiet">last error: ${step.error}</span>`]),
        orNot(step.worker),
      ]),
      'None.',
    ),
  );
}
