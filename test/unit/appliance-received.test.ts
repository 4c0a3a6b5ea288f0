import fc from 'fast-check';
import { ReceivedBytes } from '../../guest/files/appliance/received';

it('gives back what came in, in whatever pieces', () => {
  const step = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ push: Buffer.from(bytes) })),
    fc.nat(100_000).map((length) => ({ push: Buffer.alloc(length, 'x') })),
    fc.double({ min: 0, max: 1, noNaN: true }).map((share) => ({ take: share })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const received = new ReceivedBytes();
      let expected = Buffer.alloc(0);
      for (const one of steps) {
        if ('push' in one) {
          received.push(one.push);
          expected = Buffer.concat([expected, one.push]);
        } else {
          const length = Math.floor(expected.length * one.take);
          const taken = received.take(length);
          expect(taken.equals(expected.subarray(0, length))).toBe(true);
          expected = expected.subarray(length);
        }
        expect(received.length).toBe(expected.length);
        expect(received.indexOf(0x78, 50)).toBe(expected.subarray(0, 50).indexOf(0x78));
        if (expected.length >= 4) expect(received.peekUInt32()).toBe(expected.readUInt32BE());
      }
    }),
  );
});

it('takes time by the bytes, and not by the square of them', () => {
  const received = new ReceivedBytes();
  const byte = Buffer.of(1);
  const began = performance.now();
  for (let count = 0; count < 8 * 2 ** 20; count++) received.push(byte);
  for (let count = 0; count < 8 * 2 ** 10; count++) received.take(2 ** 10);
  // Some 0.5 s; by joining buffers, hours.
  expect(performance.now() - began).toBeLessThan(20_000);
  expect(received.length).toBe(0);
});
