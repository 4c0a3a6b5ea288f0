import { type Account } from '../account';
import { consoleHandlers } from './instances/consoles';
import { encryptionHandlers } from './encryption';
import { imageHandlers } from './images';
import { instanceAttributeHandlers } from './instances/instance-attributes';
import { instanceStatusHandlers } from './instances/instance-status';
import { instanceTypeHandlers } from './instances/instance-types';
import { instanceHandlers } from './instances/instances';
import { networkInterfaceHandlers } from './network-interfaces';
import { placeHandlers } from './places';
import { recycleBinHandlers } from './recycle-bin';
import { rootReplacementHandlers } from './instances/root-replacement';
import { routeTableHandlers } from './route-tables';
import { snapshotLockHandlers } from './snapshot-locks';
import { snapshotHandlers } from './snapshots';
import { tagHandlers } from './tags';
import { volumeHandlers } from './volumes';
import { vpcEndpointHandlers } from './vpc-endpoints';

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
    ...snapshotLockHandlers(account),
    ...tagHandlers(account),
    ...encryptionHandlers(account),
    ...vpcEndpointHandlers(account),
    ...recycleBinHandlers(account),
    ...routeTableHandlers(account),
  };
}
