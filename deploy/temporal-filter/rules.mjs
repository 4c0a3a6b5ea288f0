import { readFileSync } from 'node:fs';
import proto from '@temporalio/proto';
import { parse } from 'yaml';

/** What the rules say of calls to Temporal's WorkflowService. */

const { temporal } = proto;
const { v1 } = temporal.api.workflowservice;

/**
 * Calls of which it matters what they are about: what to look at, and where the caller's own name for itself stands. Each has its list of rules.
 * @type {Record<string, { list: 'start' | 'update' | 'cancel', kinds?: string, kind?: (call: any) => string, id: (call: any) => string, name: (call: any, who: string) => void }>}
 */
const LOOKED_AT = {
  StartWorkflowExecution: {
    ...{ list: 'start', kinds: 'types', kind: (call) => call.workflowType?.name },
    id: (call) => call.workflowId,
    name(call, who) {
      call.identity = who;
      // Its first task would be handed to the caller, to answer in a worker's place.
      call.requestEagerExecution = false;
    },
  },
  UpdateWorkflowExecution: {
    ...{ list: 'update', kinds: 'names', kind: (call) => call.request?.input?.name },
    id: (call) => call.workflowExecution?.workflowId,
    name: (call, who) => (call.request.meta = { ...call.request.meta, identity: who }),
  },
  RequestCancelWorkflowExecution: {
    list: 'cancel',
    id: (call) => call.workflowExecution?.workflowId,
    name: (call, who) => (call.identity = who),
  },
};

/** Of a start: these end whatever runs under the id. */
const { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } = temporal.api.enums.v1;

/** @param {string} file @throws where it is not what rules.yaml shows */
export function readRules(file) {
  const { people, namespaces, roles } = parse(readFileSync(file, 'utf8'));
  if (typeof people !== 'object' || typeof roles !== 'object' || !Array.isArray(namespaces))
    throw new Error(`${file}: needs people, namespaces and roles.`);
  for (const [name, role] of Object.entries(people))
    if (!Object.hasOwn(roles, role)) throw new Error(`${file}: ${name} has the role ${role}, which is none.`);
  for (const [name, { includes }] of Object.entries(roles))
    if (includes !== undefined && !Object.hasOwn(roles, includes))
      throw new Error(`${file}: the role ${name} includes ${includes}, which is none.`);
  return { people: new Map(Object.entries(people)), namespaces, roles };
}

/** A role's rules of a kind, with those of the roles that it includes. */
function rulesOf(roles, role, list, seen = new Set()) {
  if (role === undefined || seen.has(role)) return [];
  seen.add(role);
  return [...(roles[role][list] ?? []), ...rulesOf(roles, roles[role].includes, list, seen)];
}

/** `*` stands for anything without a colon; at the end of a pattern, for anything. `{type}` is what is started. */
function matches(pattern, id, kind) {
  const parts = pattern
    .replace('{type}', kind)
    .split('*')
    .map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'));
  const open = pattern.endsWith('*') ? `${parts.slice(0, -1).join('[^:]*')}.*` : parts.join('[^:]*');
  return new RegExp(`^${open}$`, 's').test(id);
}

/** A call that its name allows: of a schedule, it matters besides what that starts. */
function byMethod(roles, role, who, type, call) {
  const changes = 'identity' in call;
  const about = changes && call.scheduleId ? { about: call.scheduleId } : {};
  if (call.schedule != null) {
    const { workflowType, workflowId = '' } = call.schedule.action?.startWorkflow ?? {};
    const kind = workflowType?.name ?? '';
    const allowed = rulesOf(roles, role, 'schedule').some(
      (rule) => rule.types.includes(kind) && matches(rule.id, workflowId, kind),
    );
    if (!allowed) return { refused: `the role ${role} may not schedule ${kind} ${workflowId}`, ...about };
  }
  if (changes) call.identity = `${who} (${role})`;
  return { message: type.encode(call).finish(), ...about };
}

/**
 * Decides on one call.
 * @param {ReturnType<typeof readRules>} rules
 * @param {string} who the caller's name by its certificate
 * @param {string} method such as `StartWorkflowExecution`
 * @param {Uint8Array} message the request's bytes
 * @returns {{ refused: string, about?: string } | { message: Uint8Array, about?: string }} `message` is what the server gets: what of it was
 *   read here, and nothing else, with the caller's name in it
 */
export function decide({ people, namespaces, roles }, who, method, message) {
  const role = people.get(who);
  if (role === undefined) return { refused: `${who} has no role here` };
  const type = v1[`${method}Request`];
  if (type === undefined) return { refused: `${method} is not known here` };
  const call = type.decode(message);
  if (typeof call.namespace === 'string' && call.namespace !== '' && !namespaces.includes(call.namespace))
    return { refused: `nobody reaches the namespace ${call.namespace} this way` };
  const look = LOOKED_AT[method];
  if (look === undefined)
    return rulesOf(roles, role, 'methods').includes(method)
      ? byMethod(roles, role, who, type, call)
      : { refused: `the role ${role} may not call ${method}` };
  const kind = look.kind?.(call) ?? '';
  const id = look.id(call) ?? '';
  const about = [kind, id].filter((part) => part !== '').join(' ');
  if (
    call.workflowIdConflictPolicy ===
      WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING ||
    call.workflowIdReusePolicy === WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
  )
    return { refused: 'a start must not end what runs already', about };
  const allowed = rulesOf(roles, role, look.list).some(
    (rule) => (look.kinds === undefined || rule[look.kinds].includes(kind)) && matches(rule.id, id, kind),
  );
  if (!allowed) return { refused: `the role ${role} may not ${look.list} ${about}`, about };
  look.name(call, `${who} (${role})`);
  return { message: type.encode(call).finish(), about };
}
