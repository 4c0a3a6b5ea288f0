import * as workflows from '../../workflows/versioned';
import { workflowId } from '../../workflows/run/ids';
import { asPartOf, AS_ITS_RUN, MOVES_ON, PINNED } from '../../workflows/versioning';

describe('what becomes of a run when another version comes', () => {
  it('is said of every workflow type, once', () => {
    const said = [PINNED, MOVES_ON, AS_ITS_RUN].flatMap((group) => Object.keys(group));
    expect(said.sort()).toEqual(Object.keys(workflows).sort());
  });

  it.each([
    [undefined, 'AUTO_UPGRADE'],
    [workflowId('shop', 'backup'), 'AUTO_UPGRADE'],
    [workflowId('shop', 'replication'), 'AUTO_UPGRADE'],
    [`${workflowId('shop', 'replication')}-2026-11-30T16:25:02Z`, 'AUTO_UPGRADE'],
    [workflowId('shop', 'failover'), 'PINNED'],
    [workflowId('backup', 'failover'), 'PINNED'],
    ['started-by-hand', 'PINNED'],
  ])('a backup that is a part of %s is %s', (root, behaviour) => {
    expect(asPartOf(root)).toBe(behaviour);
  });
});
