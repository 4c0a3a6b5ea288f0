import { type InstanceBlockDeviceMapping } from '@aws-sdk/client-ec2';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import {
  DATA_DEVICE_NAMES,
  DeviceNames,
  type DeviceClaim,
} from '../../activities/aws-proxy/proxy-host/device-names';

let names: DeviceNames;
/** What EC2 says that the instance has. */
let attached: InstanceBlockDeviceMapping[];
beforeEach(() => {
  names = new DeviceNames();
  attached = [{ DeviceName: '/dev/xvda', Ebs: { VolumeId: 'vol-root', Status: 'attached' } }];
});

const claim = (...volumeIds: string[]): Promise<DeviceClaim> =>
  new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') }).run(() =>
    names.claim(volumeIds, async () => attached, 0.01),
  );
const volumes = (vm: string, n: number): string[] => Array.from({ length: n }, (_, k) => `vol-${vm}-${k}`);
const attach = (volumeId: string, DeviceName: string, Status: 'attached' | 'detaching' = 'attached') =>
  attached.push({ DeviceName, Ebs: { VolumeId: volumeId, Status } });

describe('device names of an AWS proxy', () => {
  it('are given all at once, and in the order in which they are asked for', async () => {
    const first = await claim(...volumes('a', 19));
    const came: string[] = [];
    const big = claim(...volumes('b', 3)).then((given) => (came.push('big'), given));
    // One name would be there for it, but not for ever: it does not overtake who waits for three.
    const small = claim(...volumes('c', 1)).then((given) => (came.push('small'), given));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(came).toEqual([]);
    first.release();
    const given = [
      (await big).nameOf('vol-b-0'),
      (await big).nameOf('vol-b-2'),
      (await small).nameOf('vol-c-0'),
    ];
    expect(came).toEqual(['big', 'small']);
    expect(new Set(given).size).toBe(3);
  });

  it('are not those that anybody else has, nor of volumes that are there already', async () => {
    attach('vol-person', '/dev/sdf');
    attach('vol-a-0', '/dev/sdg');
    attach('vol-a-1', '/dev/sdh', 'detaching');
    const given = await claim('vol-a-0', 'vol-a-1', 'vol-a-2');
    expect(['vol-a-0', 'vol-a-1', 'vol-a-2'].map((volumeId) => given.nameOf(volumeId))).toEqual([
      undefined,
      '/dev/sdi',
      '/dev/sdj',
    ]);
    await given.replace('vol-a-2');
    expect(given.nameOf('vol-a-2')).toBe('/dev/sdk');
    // Refused by EC2 for whatever reason: not for the next one either.
    expect((await claim('vol-b')).nameOf('vol-b')).toBe('/dev/sdl');
  });

  it('are missed by nobody for long who would wait for what strangers have', async () => {
    // Left by an earlier process: of a VM whose task waits behind one that needs nearly all.
    for (const [n, volumeId] of volumes('left', 3).entries()) attach(volumeId, DATA_DEVICE_NAMES[n] ?? '');
    const all = claim(...volumes('big', 20));
    const left = claim(...volumes('left', 4));
    await expect(all).rejects.toMatchObject({
      type: 'WrongState',
      nonRetryable: false,
      nextRetryDelay: '30 seconds',
      message: expect.stringContaining('too few device names left to attach 20 volumes'),
    });
    expect((await left).nameOf('vol-left-3')).toBe('/dev/sdi');
  });

  it('are too few for more volumes than there are names', async () => {
    await expect(claim(...volumes('a', 22))).rejects.toMatchObject({
      type: 'InvalidRequest',
      nonRetryable: true,
    });
    expect((await claim(...volumes('b', 21))).nameOf('vol-b-20')).toBe('/dev/sdz');
  });
});
