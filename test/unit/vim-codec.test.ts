import fc from 'fast-check';
import { decode, encode, managed } from '../../hypervisor/vsphere/vim/codec';
import { readAnswer, requestEnvelope } from '../../hypervisor/vsphere/vim/envelope';
import { VimAnswerError, VimRequestError } from '../../hypervisor/vsphere/vim/errors';
import { explain, isRetryable, VimFault } from '../../hypervisor/vsphere/vim/faults';
import { fieldsOf, isA, isKnownType } from '../../hypervisor/vsphere/vim/layout';
import { METHODS, TYPES } from '../../hypervisor/vsphere/vim/schema';
import { parseXml } from '../../hypervisor/vsphere/vim/xml';
import { answered, faulted, soap } from './vim-server';

const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

/** Decodes an element as the schema declares it. */
function read(declared: string, xml: string): unknown {
  return decode(declared, parseXml(xml));
}

const refused = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(VimRequestError);
    return (error as Error).message;
  }
  throw new Error('it was not refused');
};

describe('encoding', () => {
  it('brings fields into the order of the schema, those of the base first', () => {
    expect(
      encode('device', 'VirtualDevice', {
        $type: 'VirtualDisk',
        capacityInKB: 1,
        unitNumber: 0,
        key: -1,
      }),
    ).toBe(
      '<device xsi:type="VirtualDisk"><key>-1</key><unitNumber>0</unitNumber><capacityInKB>1</capacityInKB></device>',
    );
  });

  it('says a type only where it is not the declared one', () => {
    expect(encode('files', 'VirtualMachineFileInfo', { vmPathName: '[a]' })).toBe(
      '<files><vmPathName>[a]</vmPathName></files>',
    );
    expect(encode('val', 'anyType', managed('VirtualMachine', 'vm-1'))).toBe(
      '<val type="VirtualMachine" xsi:type="ManagedObjectReference">vm-1</val>',
    );
    expect(encode('val', 'anyType', 2 ** 31)).toBe(`<val xsi:type="xsd:long">${2 ** 31}</val>`);
    expect(encode('val', 'anyType', -7)).toBe('<val xsi:type="xsd:int">-7</val>');
    expect(encode('val', 'anyType', new Date(0))).toBe(
      '<val xsi:type="xsd:dateTime">1970-01-01T00:00:00.000Z</val>',
    );
    expect(encode('val', 'anyType', Buffer.from('a'))).toBe('<val xsi:type="xsd:base64Binary">YQ==</val>');
  });

  it.each([
    [
      'a field that the type does not have',
      { $type: 'OptionValue', key: 'a', value: 1, vaule: 2 },
      'has no vaule',
    ],
    ['a type that the schema does not have', { $type: 'OptionValues', key: 'a' }, 'no type OptionValues'],
    [
      'a type that is not of the declared one',
      { $type: 'VirtualDisk', key: 1 },
      'VirtualDisk is no OptionValue',
    ],
    ['a field that is missing', { $type: 'OptionValue', value: 1 }, 'needs key'],
    [
      'a list where one is wanted',
      { $type: 'OptionValue', key: ['a', 'b'], value: 1 },
      'key of OptionValue is no list',
    ],
    ['text where a type is wanted', 'text', 'has to be a OptionValue'],
    ['a reference where a type is wanted', managed('VirtualMachine', 'vm-1'), 'has to be a OptionValue'],
    ['text that XML cannot carry', { $type: 'OptionValue', key: 'a\0', value: 1 }, 'key is no string'],
    ['what has no type', { $type: 'OptionValue', key: 'a', value: Symbol('a') }, 'cannot be sent'],
  ])('refuses %s', (_, value, message) => {
    expect(refused(() => encode('extraConfig', 'OptionValue', value))).toContain(message);
  });

  it.each([
    ['int', 2 ** 31],
    ['int', 1.5],
    ['int', NaN],
    ['int', '1'],
    ['long', 2 ** 53],
    ['long', 2n ** 63n],
    ['boolean', 'true'],
    ['string', 1],
    ['dateTime', new Date(NaN)],
    ['base64Binary', 'YQ=='],
    ['double', Infinity],
  ])('refuses a %s that is none (%p)', (type, value) => {
    expect(refused(() => encode('a', type, value))).toBe(`a is no ${type}.`);
  });

  it('has no value in what it refuses', () => {
    const self = managed('SessionManager', 'SessionManager');
    for (const password of ['secret\0', ['secret'], { secret: 1 }])
      expect(refused(() => requestEnvelope('Login', self, { userName: 'u', password }))).not.toContain(
        'secret',
      );
  });

  it('refuses arguments that the method does not take, or lacks', () => {
    const vm = managed('VirtualMachine', 'vm-1');
    expect(refused(() => requestEnvelope('ReconfigVM_Task', vm, { spec: {}, config: {} }))).toContain(
      'takes no config',
    );
    expect(refused(() => requestEnvelope('ReconfigVM_Task', vm, {}))).toContain('needs spec');
    expect(refused(() => requestEnvelope('CreateVM_Task', vm, { config: {}, pool: 'resgroup-8' }))).toContain(
      'reference to a ResourcePool',
    );
  });
});

describe('decoding', () => {
  it('reads a data object by its schema, with lists that are absent as empty ones', () => {
    expect(
      read(
        'DiskChangeInfo',
        '<returnval><startOffset>0</startOffset><length>68169720922112</length><changedArea><start>512</start>' +
          '<length>1024</length></changedArea></returnval>',
      ),
    ).toEqual({
      $type: 'DiskChangeInfo',
      startOffset: 0,
      length: 68_169_720_922_112,
      changedArea: [{ $type: 'DiskChangeExtent', start: 512, length: 1024 }],
    });
    expect(read('DiskChangeInfo', '<r><startOffset>0</startOffset><length>0</length></r>')).toMatchObject({
      changedArea: [],
    });
  });

  it('keeps whole numbers exact: what a number cannot hold is a bigint', () => {
    const long = (text: string) => read('long', `<a>${text}</a>`);
    expect(long('9007199254740991')).toBe(9_007_199_254_740_991);
    expect(long('9007199254740993')).toBe(9_007_199_254_740_993n);
    expect(long('-9223372036854775808')).toBe(-(2n ** 63n));
    for (const text of ['', '1.5', '0x10', '1e3', '99999999999999999999'])
      expect(() => long(text)).toThrow(VimAnswerError);
  });

  it('reads what is said of a type before what is declared', () => {
    expect(
      read('anyType', `<val ${XSI} xmlns:x="http://www.w3.org/2001/XMLSchema" xsi:type="x:boolean">1</val>`),
    ).toBe(true);
    expect(read('anyType', `<val ${XSI} xsi:type="VirtualMachinePowerState">poweredOff</val>`)).toBe(
      'poweredOff',
    );
    expect(
      read('anyType', `<val ${XSI} type="Datastore" xsi:type="ManagedObjectReference">datastore-1</val>`),
    ).toEqual({ $ref: 'Datastore', value: 'datastore-1' });
    expect(
      read(
        'anyType',
        `<val xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="ArrayOfManagedObjectReference">` +
          `<ManagedObjectReference type="Network">network-1</ManagedObjectReference></val>`,
      ),
    ).toEqual([{ $ref: 'Network', value: 'network-1' }]);
    expect(read('anyType', `<val ${XSI} xsi:type="ArrayOfInt"><int>1</int><int>2</int></val>`)).toEqual([
      1, 2,
    ]);
    expect(read('anyType', `<val ${XSI} xsi:type="ArrayOfVirtualDevice"/>`)).toEqual([]);
  });

  it('keeps types and fields that it does not know, as they come', () => {
    expect(
      read(
        'VirtualDevice',
        `<d ${XSI} xsi:type="VirtualQuantumCard"><key>77</key><spin>up</spin><qubit>1</qubit><qubit>2</qubit>` +
          `<inner xsi:type="QuantumInner"><deep>1</deep></inner></d>`,
      ),
    ).toEqual({
      $type: 'VirtualQuantumCard',
      key: 77,
      spin: 'up',
      qubit: ['1', '2'],
      inner: { $type: 'QuantumInner', deep: '1' },
    });
    expect(read('MethodFault', `<fault ${XSI} xsi:type="QuantumFault"/>`)).toMatchObject({
      $type: 'QuantumFault',
    });
  });

  it('resolves the five entities of XML, and numbers, and nothing else', () => {
    expect(read('string', '<a>&lt;&amp;&#38;&quot;&apos;&gt;&#x1F6DF;&#10;&amp;lt;</a>')).toBe(
      '<&&"\'>\u{1f6df}\n&lt;',
    );
    expect(read('string', '<a>a<![CDATA[<b>&lt;]]>c</a>')).toBe('a<b>&lt;c');
    expect(() => read('string', '<a>&eacute;</a>')).toThrow(VimAnswerError);
  });

  it('cannot be led to an object that all have in common', () => {
    expect(() => read('Anything', '<a><__proto__><polluted>1</polluted></__proto__></a>')).toThrow(
      VimAnswerError,
    );
    expect(read('Anything', '<a><toString>2</toString></a>')).toEqual({ $type: 'Anything', toString: '2' });
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    for (const type of ['constructor', '__proto__', 'toString'])
      expect(read('anyType', `<a ${XSI} xsi:type="${type}"><b>1</b></a>`)).toMatchObject({ b: '1' });
  });

  it('brings back what was encoded', () => {
    const text = fc.string({ unit: 'binary' }).filter((one) => {
      // XML's own characters, and line ends that a reader may not change.
      // eslint-disable-next-line no-control-regex
      return !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(one) && !/[\ud800-\udfff]/u.test(one);
    });
    const value = fc.oneof(
      text,
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
      fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') }),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(text, value, (key, one) => {
        const option = { $type: 'OptionValue', key, value: one };
        const xml = encode('a', 'OptionValue', option).replace('<a', `<a ${XSI}`);
        expect(read('OptionValue', xml)).toEqual(option);
      }),
      { numRuns: 50 },
    );
  });

  it('makes of any answer a value or an error that says so', () => {
    const name = fc.constantFrom('a', 'returnval', 'xsi:type', 'key', 'ArrayOfInt', 'int', '_x', 'Fault');
    const { xml } = fc.letrec<{ xml: string }>((tie) => ({
      xml: fc.oneof(
        { maxDepth: 6 },
        fc.string(),
        fc
          .tuple(
            name,
            fc.constantFrom(...Object.keys(TYPES), 'xsd:int', 'xsd:long', 'ArrayOfLong'),
            fc.array(tie('xml')),
          )
          .map(([tag, type, inner]) => `<${tag} xsi:type="${type}">${inner.join('')}</${tag}>`),
      ),
    }));
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(METHODS) as (keyof typeof METHODS)[])),
        xml,
        (method, inner) => {
          for (const text of [
            answered(method, inner),
            soap(`<soapenv:Fault>${inner}</soapenv:Fault>`),
            inner,
          ])
            try {
              readAnswer(method, 200, text);
            } catch (error) {
              if (!(error instanceof VimAnswerError) && !(error instanceof VimFault)) throw error;
            }
        },
      ),
      { numRuns: Number(process.env.LIFEBOAT_HOSTILE_INPUTS ?? 300) },
    );
  });
});

describe('a fault', () => {
  const faultOf = (text: string): VimFault => {
    try {
      readAnswer('PowerOnVM_Task', 500, text);
    } catch (error) {
      if (error instanceof VimFault) return error;
      throw error;
    }
    throw new Error('no fault');
  };

  it('has its type, its data and what the server says', () => {
    const fault = faultOf(
      faulted(
        'InvalidPowerState',
        'The attempted operation cannot be performed in the current state (Powered on).',
        '<requestedState>poweredOff</requestedState><existingState>poweredOn</existingState>',
      ),
    );
    expect(fault).toMatchObject({
      method: 'PowerOnVM_Task',
      type: 'InvalidPowerState',
      fault: { existingState: 'poweredOn', requestedState: 'poweredOff' },
    });
    expect(fault.is('InvalidState')).toBe(true);
    expect(fault.is('FileFault')).toBe(false);
    expect(explain(fault)).toBe(
      'PowerOnVM_Task: The attempted operation cannot be performed in the current state (Powered on). ' +
        '(InvalidPowerState). The VM is poweredOn; it would have to be poweredOff.',
    );
  });

  it('tells what to do, with the data that it has', () => {
    const told = (type: string, fields = '') => explain(faultOf(faulted(type, 'No.', fields)));
    expect(
      told(
        'NoPermission',
        '<object type="VirtualMachine">vm-1</object><privilegeId>VirtualMachine.Interact.PowerOn</privilegeId>',
      ),
    ).toContain('the privilege VirtualMachine.Interact.PowerOn on VirtualMachine vm-1');
    expect(told('FileLocked', '<file>[a] b.vmdk</file>')).toContain('[a] b.vmdk is in use');
    expect(told('RestrictedVersion')).toContain('the free ESXi does not');
    expect(told('NoDiskSpace', '<file>[a] b</file><datastore>a</datastore>')).toContain(
      'Free space on the datastore a',
    );
    expect(told('InsufficientMemoryResourcesFault')).toContain('not enough free CPU or memory');
    expect(told('NoPermission')).toContain('(not told)');
    expect(
      told(
        'GenericVmConfigFault',
        '<faultMessage><key>k</key><message>The disk is odd</message></faultMessage><reason>odd</reason>',
      ),
    ).toMatch(/ odd The disk is odd\.$/);
    expect(told('QuantumFault')).toBe('PowerOnVM_Task: No. (QuantumFault).');
  });

  it.each([
    ['FileLocked', true],
    ['TaskInProgress', true],
    ['HostNotConnected', true],
    ['NotAuthenticated', true],
    ['InaccessibleDatastore', true],
    ['NoPermission', false],
    ['FileNotFound', false],
    ['InvalidLogin', false],
    ['PasswordExpired', false],
    ['InsufficientHostMemoryCapacityFault', false],
    ['InvalidDatastorePath', false],
    ['QuantumFault', false],
  ])('%s may be tried again: %p', (type, retryable) => {
    expect(isRetryable(new VimFault('CreateVM_Task', { $type: type }))).toBe(retryable);
  });

  it('without data is one all the same', () => {
    const bare = soap(
      '<soapenv:Fault><faultcode>Client</faultcode><faultstring>What?</faultstring></soapenv:Fault>',
    );
    expect(faultOf(bare)).toMatchObject({
      type: 'SystemError',
      message: 'PowerOnVM_Task: What? (SystemError)',
    });
  });
});

it('every type of the schema has a base and fields that are there', () => {
  const scalars = 'string boolean int long short byte float double dateTime base64Binary anyType'.split(' ');
  const missing = Object.entries(TYPES).flatMap(([type, [base]]) => {
    const named = [...fieldsOf(type).values()].map((field) => field.type);
    return [...named, ...(base === null ? [] : [base])].filter(
      (name) => !name.startsWith('&') && !scalars.includes(name) && !isKnownType(name),
    );
  });
  expect(missing).toEqual([]);
  expect(isA('VirtualDisk', 'VirtualDevice')).toBe(true);
});
