import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VimClient } from '../../hypervisor/vsphere/vim/client';
import { managed } from '../../hypervisor/vsphere/vim/codec';
import { VimTimeoutError } from '../../hypervisor/vsphere/vim/errors';
import { VimFault } from '../../hypervisor/vsphere/vim/faults';
import { TaskOutcomeUnknownError } from '../../hypervisor/vsphere/vim/tasks';
import { failure } from '../support/failure';
import { answered, faulted, makeCertificate, type Reply, ScriptedVcenter } from './vim-server';

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-vim-'));
const certificate = makeCertificate(directory, 'vcenter', 'IP:127.0.0.1');
const vcenter = new ScriptedVcenter(certificate);
const vm = managed('VirtualMachine', 'vm-1');
let vim: VimClient;

/** A task's state, as a property of it. */
const info = (state: string, more = ''): string =>
  answered(
    'RetrievePropertiesEx',
    '<returnval><objects><obj type="Task">task-1</obj><propSet><name>info</name><val xsi:type="TaskInfo">' +
      `<key>task-1</key><task type="Task">task-1</task><descriptionId>x</descriptionId><state>${state}</state>` +
      `<cancelled>false</cancelled><cancelable>true</cancelable>${more}</val></propSet></objects></returnval>`,
  );
const fault = (type: string): string =>
  `<error><fault xsi:type="${type}"/><localizedMessage>It is ${type}.</localizedMessage></error>`;
const update = answered('WaitForUpdatesEx', '<returnval><version>1</version></returnval>');
const lost = faulted('NotAuthenticated', 'The session is not authenticated.');
const gone = faulted('ManagedObjectNotFound', 'It has been deleted.', '<obj type="Task">task-1</obj>');
const cut: Reply = (_call, response) => void response.destroy();

const script = (method: string, ...replies: Reply[]) => void vcenter.replies.set(method, replies);
const count = (method: string): number => vcenter.methods.filter((one) => one === method).length;

beforeAll(async () => {
  const url = await vcenter.start();
  vim = new VimClient({
    url,
    trust: { ca: certificate.certificate },
    credentials: () => Promise.resolve({ user: 'u', password: 'p' }),
  });
});
beforeEach(() => {
  vcenter.reset();
  script('PowerOnVM_Task', answered('PowerOnVM_Task', '<returnval type="Task">task-1</returnval>'));
  script(
    'CreatePropertyCollector',
    answered('CreatePropertyCollector', '<returnval type="PropertyCollector">c</returnval>'),
  );
  script('CreateFilter', answered('CreateFilter', '<returnval type="PropertyFilter">f</returnval>'));
  script('DestroyPropertyCollector', answered('DestroyPropertyCollector'));
  script('CancelTask', answered('CancelTask'));
  script('WaitForUpdatesEx', update);
});
afterAll(async () => {
  vcenter.reset();
  await vim.close();
  await vcenter.stop();
  rmSync(directory, { recursive: true });
});

it('tells how far a task is, and what it ends with', async () => {
  script(
    'RetrievePropertiesEx',
    info('queued'),
    info('running', '<progress>20</progress>'),
    info('running', '<progress>70</progress>'),
    info('success', '<result xsi:type="xsd:string">done</result>'),
  );
  const progress: number[] = [];
  expect(await vim.run('PowerOnVM_Task', vm, {}, { onProgress: (percent) => progress.push(percent) })).toBe(
    'done',
  );
  expect(progress).toEqual([20, 70]);
  expect(vcenter.methods.at(-1)).toBe('DestroyPropertyCollector');
});

it('throws what a task ended with', async () => {
  script('RetrievePropertiesEx', info('error', fault('InsufficientMemoryResourcesFault')));
  const error = await failure(vim.run('PowerOnVM_Task', vm));
  expect(error).toBeInstanceOf(VimFault);
  expect(error).toMatchObject({
    method: 'PowerOnVM_Task',
    type: 'InsufficientMemoryResourcesFault',
    said: 'It is InsufficientMemoryResourcesFault.',
  });
});

it('goes on waiting in a new session, however often one ends meanwhile, and starts the task once', async () => {
  script('WaitForUpdatesEx', update, lost, update, lost, update, lost, update);
  script('RetrievePropertiesEx', info('running'), info('running'), info('running'), info('success'));
  await vim.run('PowerOnVM_Task', vm);
  expect(count('PowerOnVM_Task')).toBe(1);
  expect(count('CreatePropertyCollector')).toBe(4);
});

it('does not wait in a session that ends at once', async () => {
  script('WaitForUpdatesEx', lost);
  const error = await failure(vim.run('PowerOnVM_Task', vm));
  expect(error).toBeInstanceOf(TaskOutcomeUnknownError);
  expect(count('WaitForUpdatesEx')).toBe(2);
});

it('goes on after a connection that was cut, once', async () => {
  script('WaitForUpdatesEx', cut, update);
  script('RetrievePropertiesEx', info('success'));
  await vim.run('PowerOnVM_Task', vm);
  expect(count('PowerOnVM_Task')).toBe(1);

  script('WaitForUpdatesEx', cut);
  const error = await failure(vim.run('PowerOnVM_Task', vm));
  expect(error).toBeInstanceOf(TaskOutcomeUnknownError);
  expect(error.message).toMatch(/outcome of task-1 is unknown/);
});

it('says that the outcome is unknown where vCenter has forgotten the task', async () => {
  script('CreateFilter', gone);
  const error = await failure(vim.run('PowerOnVM_Task', vm));
  expect(error).toBeInstanceOf(TaskOutcomeUnknownError);
  expect(error.message).toContain('may have been restarted');
});

describe('a signal', () => {
  /** Aborts while the client waits for an update, which the server holds back. */
  const abortWhileWaiting = (abort: AbortController): Reply => {
    return () => abort.abort(new Error('enough'));
  };

  it.each([
    ['throws its reason where the task was cancelled', info('error', fault('RequestCanceled')), 'enough'],
    ['throws what the task ended with', info('error', fault('FileLocked')), 'It is FileLocked'],
  ])('%s', async (_, end, message) => {
    const abort = new AbortController();
    script('WaitForUpdatesEx', abortWhileWaiting(abort), update);
    script('RetrievePropertiesEx', end);
    const error = await failure(vim.run('PowerOnVM_Task', vm, {}, { signal: abort.signal }));
    expect(error.message).toContain(message);
    expect(count('CancelTask')).toBe(1);
  });

  it('does not take back what has been done', async () => {
    const abort = new AbortController();
    script('WaitForUpdatesEx', abortWhileWaiting(abort), update);
    script('CancelTask', faulted('NotSupported', 'It cannot be cancelled.'));
    script('RetrievePropertiesEx', info('success'));
    await vim.run('PowerOnVM_Task', vm, {}, { signal: abort.signal });
  });

  it('starts nothing where it came before', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    expect((await failure(vim.run('PowerOnVM_Task', vm, {}, { signal }))).message).toBe('enough');
    expect(vcenter.methods).toEqual([]);
  });

  it('ends a wait for properties', async () => {
    const abort = new AbortController();
    script('WaitForUpdatesEx', abortWhileWaiting(abort));
    const wait = vim.waitFor(vm, ['runtime.powerState'], () => true, 60, abort.signal);
    expect((await failure(wait)).message).toBe('enough');
    expect(vcenter.methods.at(-1)).toBe('DestroyPropertyCollector');
  });
});

describe('properties', () => {
  it('that cannot be read are an error where they are asked for, and told in a list', async () => {
    const missing =
      '<objects><obj type="VirtualMachine">vm-1</obj><missingSet><path>config</path><fault><fault xsi:type="NoPermission">' +
      '<object type="VirtualMachine">vm-1</object><privilegeId>System.Read</privilegeId></fault><localizedMessage/></fault>' +
      '</missingSet></objects>';
    script('RetrievePropertiesEx', answered('RetrievePropertiesEx', `<returnval>${missing}</returnval>`));
    expect(await failure(vim.get(vm, 'config'))).toMatchObject({
      type: 'NoPermission',
      message: expect.stringContaining('config of VirtualMachine vm-1 cannot be read'),
    });
    script(
      'CreateContainerView',
      answered('CreateContainerView', '<returnval type="ContainerView">v</returnval>'),
    );
    script('DestroyView', answered('DestroyView'));
    expect(await vim.list('VirtualMachine', ['config'])).toEqual([
      { ref: vm, missing: { config: expect.objectContaining({ privilegeId: 'System.Read' }) } },
    ]);
  });

  it('are listed anew where the session ends between two pages', async () => {
    const page = (name: string, token = '') =>
      `<returnval>${token}<objects><obj type="VirtualMachine">${name}</obj></objects></returnval>`;
    script(
      'CreateContainerView',
      answered('CreateContainerView', '<returnval type="ContainerView">v</returnval>'),
    );
    script('DestroyView', lost, answered('DestroyView'));
    script('RetrievePropertiesEx', answered('RetrievePropertiesEx', page('vm-1', '<token>t</token>')));
    script('ContinueRetrievePropertiesEx', lost, answered('ContinueRetrievePropertiesEx', page('vm-2')));
    expect((await vim.list('VirtualMachine', [])).map(({ ref }) => ref.value)).toEqual(['vm-1', 'vm-2']);
    expect(count('CreateContainerView')).toBe(2);
    expect(vcenter.methods.at(-1)).toBe('DestroyView');
  });

  it('that do not come to what is waited for in time are an error', async () => {
    script('WaitForUpdatesEx', update, answered('WaitForUpdatesEx'));
    script('RetrievePropertiesEx', info('running'));
    const wait = vim.waitFor(managed('Task', 'task-1'), ['info'], () => undefined, 0.01);
    const error = await failure(wait);
    expect(error).toBeInstanceOf(VimTimeoutError);
    expect(error.message).toContain('Task task-1: info did not come to what was waited for');
  });
});
