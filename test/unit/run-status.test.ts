import { markdown } from '../../workflows/run/run-status';
import { NEEDS_ATTENTION, type RunStatus, type VmStatus } from '../../workflows/run/messages';

const at = (second: number): string => new Date(Date.UTC(2026, 10, 30) + second * 1000).toISOString();
const vm = (n: number, phase: string, more: Partial<VmStatus> = {}): VmStatus => ({
  ...{ vm: `vm-${n}`, phase, detail: '', since: at(n), ...more },
});
const status = (vms: VmStatus[]): RunStatus => ({ phase: 'recovering VMs', needsAttention: false, vms });
const rowsOf = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('| vm-'));

describe("a run's details for people", () => {
  it('have a row for each VM of a plan that one can look through, in its order', () => {
    const vms = Array.from({ length: 50 }, (_, n) => vm(n, n % 2 === 0 ? 'booting' : 'ready'));
    const text = markdown(status(vms));
    expect(rowsOf(text).map((row) => row.split(' ')[1])).toEqual(vms.map((one) => one.vm));
    expect(text).not.toMatch(/matter most/);
  });

  it('have what matters of a larger one: who needs a person, what is in trouble, what changed last, and how many the rest are', () => {
    const vms = Array.from({ length: 1000 }, (_, n) => vm(n, n < 900 ? 'ready' : 'booting'));
    vms[3] = vm(3, NEEDS_ATTENTION, { detail: 'no capacity' });
    vms[7] = vm(7, 'creating volumes', { trouble: 'throttled' });
    const text = markdown({ ...status(vms), needsAttention: true });
    expect(text).toContain('1000 VMs: 898 ready, 100 booting, 1 needs attention, 1 creating volumes.');
    const rows = rowsOf(text);
    expect(rows).toHaveLength(50);
    expect(rows[0]).toMatch(/^\| vm-3 \| needs attention \| no capacity/);
    expect(rows[1]).toMatch(/^\| vm-7 \| creating volumes \| throttled/);
    expect(rows[2]).toMatch(/^\| vm-999 \|/);
    expect(text.length).toBeLessThan(5000);
  });
});
