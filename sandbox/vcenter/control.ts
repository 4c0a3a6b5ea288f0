import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';

/** What happens to calls of a method, by the rule's name. */
export interface Rule {
  name: string;
  /** Such as `CreateSnapshotEx_Task`. */
  method: string;
  /** Managed object id; any where absent. */
  object?: string;
  /** Calls that pass first. */
  skip?: number;
  /** Calls that it strikes. */
  times: number;
  /** Before the call takes effect, or after, when only its answer is missing. */
  when: 'before' | 'after';
  milliseconds?: number;
  /** Until the rule is gone. */
  hold?: boolean;
  /** Type of the fault that is the answer, such as `TaskInProgress`; only `before`. */
  fault?: string;
}

/** How tests make a simulated vCenter do what a real one does at bad times. It keeps what it was told over its restarts. */
export interface Control {
  /** The rules from now on; those of before are gone, and what they hold goes on. */
  setRules(rules: Rule[]): Promise<void>;
  /** How often each rule was met, those calls included that it let pass. */
  struck(): Promise<Record<string, number>>;
  /** The privileges that the account lacks, from now on. */
  denyPrivileges(privileges: string[]): Promise<void>;
  /** Puts a VM into the inventory: a VirtualMachineConfigSpec in the JSON of the VI JSON API. Returns its managed object id. */
  register(spec: Record<string, unknown>, options?: { powerOn?: boolean }): Promise<string>;
  /** Managed object id of a VM, by its name or its instance UUID. @throws where there is none */
  find(vm: string): Promise<string>;
  lookUp(vm: string): Promise<string | undefined>;
  /** Sets entries of a VM's extraConfig, and with them the simulator's switches: `simulator.tools`, `simulator.quiesceFails`. */
  setOptions(vm: string, options: Record<string, string>): Promise<void>;
}

export function controlAt(socketPath: string): Control {
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; answer: string }> => {
    const asking = request({ socketPath, method, path, headers: { 'content-type': 'application/json' } });
    asking.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, answer: await text(response) };
  };
  const done = async (method: string, path: string, body?: unknown): Promise<string> => {
    const { status, answer } = await ask(method, path, body);
    if (status !== 200) throw new Error(`The simulated vCenter refuses ${path}: ${answer.trim()}`);
    return answer;
  };
  const lookUp = async (vm: string): Promise<string | undefined> => {
    const found = JSON.parse(await done('GET', '/vms')) as {
      id: string;
      name: string;
      instanceUuid: string;
    }[];
    return found.find(({ name, instanceUuid }) => name === vm || instanceUuid === vm)?.id;
  };
  const find = async (vm: string): Promise<string> => {
    const id = await lookUp(vm);
    if (id === undefined) throw new Error(`The simulated vCenter has no VM "${vm}".`);
    return id;
  };
  return {
    setRules: async (rules) => void (await done('POST', '/rules', rules)),
    struck: async () => {
      const { rules } = JSON.parse(await done('GET', '/')) as {
        rules: { name: string; struck: number }[] | null;
      };
      return Object.fromEntries((rules ?? []).map(({ name, struck }) => [name, struck]));
    },
    denyPrivileges: async (privileges) => void (await done('POST', '/denied', privileges)),
    register: (spec, { powerOn = false } = {}) => done('POST', `/import${powerOn ? '?powerOn=1' : ''}`, spec),
    lookUp,
    find,
    setOptions: async (vm, options) => void (await done('POST', '/options', { vm: await find(vm), options })),
  };
}
