import { toolOutput, type ToolOptions } from '../../host/run-tool';

/** Longest that a step of the build may take; the slowest fetches some hundred packages over a slow line. */
const STEP_SECONDS = 3600;

/**
 * Runs one tool of a guest's build, and returns its standard output.
 * @throws ToolMissingError, ToolFailedError
 */
export function buildStep(
  tool: string,
  args: readonly string[],
  options: Pick<ToolOptions, 'input'> = {},
): Promise<string> {
  // C.UTF-8: packages have file names that are no ASCII, and sort orders must not depend on the host's language.
  const environment = { LC_ALL: 'C.UTF-8' };
  return toolOutput(tool, args, { timeoutSeconds: STEP_SECONDS, environment, ...options });
}
