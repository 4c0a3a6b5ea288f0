import { Command, Option } from 'commander';

/** A command about a plan's run, with the argument and the options that all of them have. */
export function planRunCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--json', 'write one JSON document to stdout')
    .option('--no-wait', 'start the run and return');
}

/** `--on-failure`, of runs that can wait for a person. */
export const onFailureOption = (help: string): Option =>
  new Option('--on-failure <what>', help).choices(['wait', 'undo']).default('wait');
