import {
  type GetConsoleOutputRequest,
  type GetConsoleOutputResult,
  type GetConsoleScreenshotRequest,
  type GetConsoleScreenshotResult,
} from '@aws-sdk/client-ec2';
import { encode } from 'jpeg-js';
import { type Account } from '../../account';
import { AwsError } from '../../wire/errors';
import { checkDryRun, findInstance } from '../lookup';
import { type Picture, readPpm } from './ppm';

/** GetConsoleOutput answers with the last 64 KiB. */
const CONSOLE_BYTES = 64 * 1024;
/** Of 100. Text stays readable, and takes some tens of KiB. */
const JPEG_QUALITY = 75;

/** What an instance shows and says: its screen, its serial console. */
export function consoleHandlers(account: Account) {
  return {
    async GetConsoleOutput(input: GetConsoleOutputRequest): Promise<GetConsoleOutputResult> {
      const instance = findInstance(account, input.InstanceId);
      const output =
        instance.host || instance.state === 'terminated'
          ? Buffer.alloc(0)
          : await account.runner.console(instance.id);
      return {
        InstanceId: instance.id,
        Timestamp: new Date(),
        Output: output.subarray(-CONSOLE_BYTES).toString('base64'),
      };
    },

    /** "Retrieve a JPG-format screenshot of a running instance", in base64 (EC2 API Reference). */
    async GetConsoleScreenshot(input: GetConsoleScreenshotRequest): Promise<GetConsoleScreenshotResult> {
      const { id, host, state } = findInstance(account, input.InstanceId);
      checkDryRun(input);
      if (state !== 'running')
        throw new AwsError(
          'IncorrectInstanceState',
          `The instance '${id}' is not in a state from which a screenshot can be taken: it is ${state}.`,
        );
      if (host)
        throw new AwsError(
          'UnsupportedOperation',
          `The instance '${id}' is this host; it has no screen here.`,
        );
      const screen = await account.runner.screen(id, input.WakeUp === true);
      return { InstanceId: id, ImageData: screen === undefined ? blank() : jpeg(readPpm(screen)) };
    },
  };
}

const jpeg = (picture: Picture): string => encode(picture, JPEG_QUALITY).data.toString('base64');

/** The screen of what only changes states: one of a VGA text mode's size, on which nothing was ever written. */
let blankScreen: string | undefined;
function blank(): string {
  const [width, height] = [720, 400];
  blankScreen ??= jpeg({ width, height, data: Buffer.alloc(width * height * 4) });
  return blankScreen;
}
