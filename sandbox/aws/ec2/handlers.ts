import { type Account } from '../account';
import { consoleHandlers } from './consoles';
import { imageHandlers } from './images';
import { instanceAttributeHandlers } from './instance-attributes';
import { instanceStatusHandlers } from './instance-status';
import { instanceTypeHandlers } from './instance-types';
import { instanceHandlers } from './instances';
import { networkInterfaceHandlers } from './network-interfaces';
import { placeHandlers } from './places';
import { rootReplacementHandlers } from './root-replacement';
import { snapshotHandlers } from './snapshots';
import { tagHandlers } from './tags';
import { volumeHandlers } from './volumes';

/** The EC2 operations that the endpoint offers. */
export function ec2Handlers(account: Account) {
  return {
    ...placeHandlers(account),
    ...instanceTypeHandlers(account),
    ...imageHandlers(account),
    ...instanceHandlers(account),
    ...instanceAttributeHandlers(account),
    ...rootReplacementHandlers(account),
    ...instanceStatusHandlers(account),
    ...consoleHandlers(account),
    ...networkInterfaceHandlers(account),
    ...volumeHandlers(account),
    ...snapshotHandlers(account),
    ...tagHandlers(account),
  };
}
