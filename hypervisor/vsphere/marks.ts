import { diskKeyOption, extraConfig, MARK_OPTION } from './devices';
import { type OptionValue } from './vim/schema';

/** What we write into the extraConfig of a VM that we make: kept in its .vmx file, it goes where the VM goes, and ends with it. */
const CREATED_OPTION = 'lifeboat.created';
const GUEST_OS_OPTION = 'lifeboat.guestOs';

const option = (key: string, value: string): OptionValue => ({ $type: 'OptionValue', key, value });

/** That the VM is ours to remove, and whose it is. */
export function marksOfNewVm(mark: string | undefined): OptionValue[] {
  return [option(CREATED_OPTION, 'TRUE'), ...(mark === undefined ? [] : [option(MARK_OPTION, mark)])];
}

/** Whether we made the VM. */
export function isMadeByUs(options: readonly OptionValue[] | undefined): boolean {
  return extraConfig(options, CREATED_OPTION) === 'TRUE';
}

/** What a guest is called where it comes from, if vSphere has no such name. */
export function guestOsMark(guestOs: string): OptionValue {
  return option(GUEST_OS_OPTION, guestOs);
}

/** @returns undefined where the VM's own guest id says it */
export function markedGuestOs(options: readonly OptionValue[] | undefined): string | undefined {
  return extraConfig(options, GUEST_OS_OPTION);
}

/** The key of a disk that we make: the one that it had where it comes from. */
export function diskMark(uuid: string, key: string): OptionValue {
  return option(diskKeyOption(uuid), key);
}
