/** What a boot script is waited for where the plan does not say: most take seconds, and one that installs packages minutes. */
export const BOOT_SCRIPT_TIMEOUT_SECONDS = 300;
