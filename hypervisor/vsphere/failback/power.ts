import { NotShutDownError } from '../../port';
import { type VimClient } from '../vim/client';
import { isFault } from '../vim/faults';
import { type ManagedObject, type VirtualMachineQuestionInfo } from '../vim/schema';
import { isOff, isOn, type VmRef } from '../vm';

/** Seconds for a VM to start; DRS may move others first. */
const START_SECONDS = 600;

/** vCenter asks a person something of the VM, and does nothing until there is an answer. */
export class QuestionPendingError extends Error {
  constructor(name: string, vm: ManagedObject, { text, choice }: VirtualMachineQuestionInfo) {
    const choices = choice.choiceInfo.map(({ label }) => `"${label}"`).join(', ');
    super(
      `vCenter asks of "${name}" (${vm.value}): "${text.trim()}" Possible answers: ${choices || 'none are named'}. Answer it in the ` +
        'vSphere Client, then try again.',
    );
    this.name = 'QuestionPendingError';
  }
}

/**
 * @throws QuestionPendingError
 * @throws VimFault, FileLocked for one where a disk of it is attached to the proxy
 */
export async function powerOn(client: VimClient, vm: VmRef, name: string): Promise<void> {
  const { runtime } = await client.get(vm, 'runtime');
  if (runtime?.powerState === 'poweredOn') return;
  if (runtime?.question !== undefined) throw new QuestionPendingError(name, vm, runtime.question);
  const asked = new AbortController();
  const watching = new AbortController();
  const question = client
    .waitFor(vm, ['runtime'], ({ runtime: now }) => now?.question, START_SECONDS, watching.signal)
    .then((pending) => {
      // The task would wait for the answer for ever.
      asked.abort(new QuestionPendingError(name, vm, pending));
    })
    // Ended below, or could not be asked: then the task tells how it went.
    .catch(() => undefined);
  try {
    await client.run('PowerOnVM_Task', vm, {}, { signal: asked.signal });
  } catch (error) {
    if (asked.signal.aborted) throw asked.signal.reason;
    // Started by a call whose answer was lost.
    if (!isFault(error, 'InvalidPowerState') || !(await isOn(client, vm))) throw error;
  } finally {
    watching.abort(new Error('The VM has started.'));
    await question;
  }
}

/** Asks the guest to shut down, by VMware Tools. @throws NotShutDownError */
export async function shutDown(
  client: VimClient,
  vm: VmRef,
  name: string,
  timeoutSeconds: number,
): Promise<void> {
  if (!(await isOn(client, vm))) return;
  try {
    await client.call('ShutdownGuest', vm);
  } catch (error) {
    if (isFault(error, 'ToolsUnavailable'))
      throw new NotShutDownError(
        name,
        timeoutSeconds,
        'VMware Tools do not run in it, and nothing else can ask its guest to',
        { cause: error },
      );
    if (isFault(error, 'InvalidPowerState') && !(await isOn(client, vm))) return;
    throw error;
  }
  const deadline = AbortSignal.timeout(timeoutSeconds * 1000);
  try {
    await client.waitFor(
      vm,
      ['runtime'],
      ({ runtime }) => (runtime?.powerState === 'poweredOff' ? true : undefined),
      timeoutSeconds,
      deadline,
    );
  } catch (error) {
    if (!(await isOn(client, vm))) return;
    throw new NotShutDownError(name, timeoutSeconds, undefined, { cause: error });
  }
}

/** Takes the power away; of a suspended VM, its memory. */
export async function powerOff(client: VimClient, vm: VmRef): Promise<void> {
  if (await isOff(client, vm)) return;
  try {
    await client.run('PowerOffVM_Task', vm, {});
  } catch (error) {
    if (!isFault(error, 'InvalidPowerState') || !(await isOff(client, vm))) throw error;
  }
}
