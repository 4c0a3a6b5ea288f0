import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { blockOf } from '../changes/marked-text';
import { ADMIN_UNITS } from '../units';
import { environmentPath, STATE_DIRECTORY } from './boot-scripts';
import { findHttpProgram } from './http-program';
import { launchReader } from './launch-reader';

/** What is to be filled in with a launch's data, and what was filled in last. */
export const LAUNCH_DIRECTORY = `${STATE_DIRECTORY}/launch`;
export const LAUNCH_READER = `${STATE_DIRECTORY}/read-launch-data`;
export const LAUNCH_UNIT_NAME = 'lifeboat-launch.service';
/** Left over where the power was taken away while the guest wrote its /etc/hosts. */
export const HOSTS_CUT_OFF = '/etc/hosts.lifeboat';

/**
 * Before network.target and nss-lookup.target, and not network-online.target alone: most services that ask for names wait for no
 * more than those. What brings the network up comes before network.target itself, and is not waited for by order, but by the
 * script; so the unit has to start early, without the dependencies that systemd gives by default. The script ends by
 * itself; systemd ends it where a program hangs that is not known to.
 */
const LAUNCH_UNIT = `[Unit]
Description=Lifeboat launch data
DefaultDependencies=no
RequiresMountsFor=${STATE_DIRECTORY}
After=local-fs.target
Before=network.target network-online.target nss-lookup.target lifeboat-boot.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${LAUNCH_READER}
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=300

[Install]
WantedBy=multi-user.target
`;

/**
 * Has the guest read its launch's data at boot. To be planned after /etc/hosts and the boot scripts, which are what is filled in.
 * @throws GuestNotAdaptableError where the guest has no program for it
 */
export async function planLaunch(files: GuestFiles, plan: ChangePlan, runId: string): Promise<void> {
  const program = await findHttpProgram(files);
  const environment = environmentPath(runId);
  await plan.add(`${LAUNCH_DIRECTORY}/environment`, (await plan.text(environment)) ?? '', 0o644);
  const block = blockOf((await plan.text('/etc/hosts')) ?? '');
  if (block !== undefined)
    await plan.add(`${LAUNCH_DIRECTORY}/hosts`, block.map((line) => `${line}\n`).join(''), 0o644);
  await plan.add(LAUNCH_READER, launchReader({ directory: LAUNCH_DIRECTORY, environment }, program), 0o755);
  await plan.add(`${ADMIN_UNITS}/${LAUNCH_UNIT_NAME}`, LAUNCH_UNIT, 0o644);
  await plan.link(`${ADMIN_UNITS}/multi-user.target.wants/${LAUNCH_UNIT_NAME}`, `../${LAUNCH_UNIT_NAME}`);
}
