"""Writes schema.ts: the part of vim25 that Lifeboat speaks, from pyVmomi's definitions (Apache 2.0).

    python schema-generator.py schema.ts && npx prettier --write schema.ts

pyVmomi carries VMware's own type tables: fields in the order of the WSDL, the version each came with, the privilege of each
method. What is not named here, or reached from it, is left out; a field that is needed later is added here, not in schema.ts.
"""

import importlib.metadata
import sys

from pyVmomi import VmomiSupport, vim, vmodl  # noqa: F401  (loads the type tables)

# What the client says it speaks (SOAPAction "urn:vim25/7.0.0.0"). A server sends no field that came later to such a client,
# and refuses to be sent one.
VERSION = 'vim.version.v7_0'

METHODS = {
    'vim.ServiceInstance': 'RetrieveServiceContent CurrentTime',
    'vim.SessionManager': 'Login Logout',
    'vim.view.ViewManager': 'CreateContainerView',
    'vim.view.View': 'DestroyView',
    'vmodl.query.PropertyCollector': 'RetrievePropertiesEx ContinueRetrievePropertiesEx CancelRetrievePropertiesEx'
    ' CreatePropertyCollector DestroyPropertyCollector CreateFilter WaitForUpdatesEx CancelWaitForUpdates',
    'vmodl.query.PropertyCollector.Filter': 'DestroyPropertyFilter',
    'vim.SearchIndex': 'FindByUuid FindAllByUuid FindByInventoryPath FindChild',
    'vim.AuthorizationManager': 'HasPrivilegeOnEntities',
    'vim.Task': 'CancelTask',
    'vim.ManagedEntity': 'Destroy_Task Rename_Task',
    'vim.Folder': 'CreateFolder CreateVM_Task',
    'vim.Datastore': 'RefreshDatastore RefreshDatastoreStorageInfo',
    'vim.VirtualMachine': 'ReconfigVM_Task PowerOnVM_Task PowerOffVM_Task ShutdownGuest AnswerVM CreateSnapshotEx_Task'
    ' ConsolidateVMDisks_Task QueryChangedDiskAreas RefreshStorageInfo',
    'vim.vm.Snapshot': 'RemoveSnapshot_Task RevertToSnapshot_Task',
}

# Properties of managed objects that are read.
PROPERTIES = {
    'vim.VirtualMachine': 'name parent capability config layoutEx storage resourcePool runtime guest summary'
    ' datastore network snapshot rootSnapshot recentTask customValue effectiveRole',
    'vim.vm.Snapshot': 'config childSnapshot vm',
    'vim.Datacenter': 'name parent vmFolder hostFolder datastoreFolder networkFolder datastore network',
    'vim.Folder': 'name parent childEntity childType',
    'vim.ResourcePool': 'name parent owner runtime resourcePool vm',
    'vim.ComputeResource': 'name parent resourcePool host datastore network',
    'vim.ClusterComputeResource': 'name parent resourcePool host datastore network',
    'vim.HostSystem': 'name parent runtime summary config vm datastore network',
    'vim.Datastore': 'name parent info summary host vm capability',
    'vim.Network': 'name parent summary host vm',
    'vim.OpaqueNetwork': 'name parent summary host vm',
    'vim.dvs.DistributedVirtualPortgroup': 'name parent summary key config host vm',
    'vim.DistributedVirtualSwitch': 'name parent uuid',
    'vim.Task': 'info',
    'vim.ServiceInstance': 'serverClock capability',
    'vim.SessionManager': 'currentSession',
}

# Types that stand where a base type is declared: those that are sent, and those whose fields are read. Others decode by
# what the answer says of them.
CONCRETE = '''
    vmodl.query.PropertyCollector.TraversalSpec vim.AboutInfo vim.option.OptionValue
    vim.vm.device.VirtualController vim.vm.device.VirtualSCSIController vim.vm.device.ParaVirtualSCSIController
    vim.vm.device.VirtualLsiLogicController vim.vm.device.VirtualLsiLogicSASController
    vim.vm.device.VirtualBusLogicController vim.vm.device.VirtualSATAController vim.vm.device.VirtualAHCIController
    vim.vm.device.VirtualNVMEController vim.vm.device.VirtualIDEController vim.vm.device.VirtualPCIController
    vim.vm.device.VirtualDisk vim.vm.device.VirtualDisk.FlatVer1BackingInfo vim.vm.device.VirtualDisk.FlatVer2BackingInfo
    vim.vm.device.VirtualDisk.SeSparseBackingInfo vim.vm.device.VirtualDisk.SparseVer1BackingInfo
    vim.vm.device.VirtualDisk.SparseVer2BackingInfo vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo
    vim.vm.device.VirtualDisk.RawDiskVer2BackingInfo vim.vm.device.VirtualDisk.PartitionedRawDiskVer2BackingInfo
    vim.vm.device.VirtualDisk.LocalPMemBackingInfo
    vim.vm.device.VirtualEthernetCard vim.vm.device.VirtualVmxnet vim.vm.device.VirtualVmxnet2
    vim.vm.device.VirtualVmxnet3 vim.vm.device.VirtualE1000 vim.vm.device.VirtualE1000e vim.vm.device.VirtualPCNet32
    vim.vm.device.VirtualSriovEthernetCard
    vim.vm.device.VirtualEthernetCard.NetworkBackingInfo vim.vm.device.VirtualEthernetCard.OpaqueNetworkBackingInfo
    vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo
    vim.vm.device.VirtualSerialPort vim.vm.device.VirtualSerialPort.FileBackingInfo
    vim.vm.device.VirtualDevice.FileBackingInfo vim.vm.device.VirtualDevice.DeviceBackingInfo
    vim.vm.device.VirtualCdrom vim.vm.device.VirtualTPM vim.vm.device.VirtualPCIPassthrough
    vim.vm.BootOptions.BootableDiskDevice vim.vm.BootOptions.BootableEthernetDevice
    vim.vm.BootOptions.BootableCdromDevice vim.vm.BootOptions.BootableFloppyDevice
    vim.vm.FaultToleranceConfigInfo vim.vm.FaultTolerancePrimaryConfigInfo vim.vm.FaultToleranceSecondaryConfigInfo
    vim.vm.GuestQuiesceSpec vim.vm.WindowsQuiesceSpec
    vim.host.VmfsDatastoreInfo vim.host.NasDatastoreInfo vim.host.LocalDatastoreInfo vim.host.VvolDatastoreInfo
    vim.OpaqueNetwork.Summary
'''

# Faults whose data is read: what they say is in what a person is told.
FAULTS = '''
    vmodl.fault.SecurityError vmodl.fault.NotSupported vmodl.fault.InvalidArgument vmodl.fault.ManagedObjectNotFound
    vmodl.fault.RequestCanceled vmodl.fault.SystemError vmodl.fault.InvalidRequest vmodl.fault.InvalidType
    vmodl.fault.MethodNotFound vmodl.fault.HostCommunication vmodl.fault.HostNotConnected vmodl.fault.HostNotReachable
    vmodl.fault.NotEnoughLicenses vmodl.query.InvalidProperty vmodl.query.InvalidCollectorVersion
    vim.fault.NoPermission vim.fault.NotAuthenticated vim.fault.InvalidLogin vim.fault.InvalidLocale vim.fault.PasswordExpired
    vim.fault.RestrictedVersion vim.fault.VimFault vim.fault.InvalidState vim.fault.InvalidPowerState
    vim.fault.InvalidHostState vim.fault.HostConnectFault vim.fault.TaskInProgress vim.fault.ConcurrentAccess vim.fault.Timedout
    vim.fault.DuplicateName vim.fault.AlreadyExists vim.fault.InvalidName vim.fault.NotFound
    vim.fault.FileFault vim.fault.FileLocked vim.fault.FileNotFound vim.fault.FileAlreadyExists
    vim.fault.CannotAccessFile vim.fault.CannotCreateFile vim.fault.CannotDeleteFile vim.fault.FileTooLarge
    vim.fault.FileNotWritable vim.fault.NoDiskSpace vim.fault.FilesystemQuiesceFault vim.fault.FileBackedPortNotSupported
    vim.fault.InsufficientResourcesFault vim.fault.InsufficientCpuResourcesFault
    vim.fault.InsufficientMemoryResourcesFault vim.fault.InsufficientHostCapacityFault
    vim.fault.InsufficientHostCpuCapacityFault vim.fault.InsufficientHostMemoryCapacityFault
    vim.fault.InsufficientDisks vim.fault.InsufficientStorageSpace
    vim.fault.InvalidDatastore vim.fault.InvalidDatastorePath vim.fault.InaccessibleDatastore vim.fault.DatacenterMismatch
    vim.fault.SnapshotFault vim.fault.TooManySnapshotLevels vim.fault.SnapshotLocked vim.fault.SnapshotNoChange
    vim.fault.SnapshotIncompatibleDeviceInVm vim.fault.SnapshotDisabled vim.fault.ApplicationQuiesceFault
    vim.fault.MemorySnapshotOnIndependentDisk vim.fault.MultipleSnapshotsNotSupported
    vim.fault.VmConfigFault vim.fault.GenericVmConfigFault vim.fault.InvalidVmConfig vim.fault.InvalidDeviceSpec
    vim.fault.InvalidDeviceBacking vim.fault.InvalidDeviceOperation vim.fault.InvalidController vim.fault.InvalidFormat
    vim.fault.DeviceNotFound vim.fault.DeviceUnsupportedForVmPlatform vim.fault.UnsupportedGuest
    vim.fault.TooManyDevices vim.fault.CpuHotPlugNotSupported vim.fault.MemoryHotPlugNotSupported
    vim.fault.MissingController vim.fault.UnconfiguredPropertyValue vim.fault.CannotAccessNetwork
    vim.fault.CannotAccessVmComponent vim.fault.CannotAccessVmDevice vim.fault.CannotAccessVmDisk
    vim.fault.ToolsUnavailable vim.fault.QuestionPending vim.fault.InvalidFolder
    vim.fault.OutOfBounds vim.fault.ResourceInUse
'''

# Of the largest types, the fields that are sent or read. What else an answer has in them is kept as it comes.
ONLY = {
    'VirtualMachineConfigSpec': 'changeVersion name version uuid instanceUuid guestId alternateGuestName annotation files'
    ' numCPUs numCoresPerSocket memoryMB deviceChange extraConfig bootOptions changeTrackingEnabled firmware',
    'VirtualMachineConfigInfo': 'changeVersion modified name guestFullName version uuid instanceUuid template guestId'
    ' alternateGuestName annotation files hardware extraConfig datastoreUrl bootOptions ftInfo changeTrackingEnabled'
    ' firmware keyId managedBy',
    'VirtualMachineRuntimeInfo': 'device host connectionState powerState faultToleranceState toolsInstallerMounted bootTime question'
    ' consolidationNeeded onlineStandby maxCpuUsage snapshotInBackground cryptoState',
    'VirtualMachineSummary': 'vm runtime overallStatus',
    'VirtualMachineCapability': 'snapshotOperationsSupported multipleSnapshotsSupported poweredOffSnapshotsSupported'
    ' quiescedSnapshotsSupported diskSharesSupported bootOptionsSupported changeTrackingSupported diskOnlySnapshotOnSuspendedVMSupported',
    'GuestInfo': 'toolsStatus toolsRunningStatus toolsVersionStatus2 toolsVersion guestId guestFamily guestFullName hostName ipAddress net'
    ' guestState guestOperationsReady interactiveGuestOperationsReady guestStateChangeSupported',
    'GuestNicInfo': 'network ipAddress macAddress connected deviceConfigId',
    'HostConfigInfo': 'host product',
    'HostRuntimeInfo': 'connectionState powerState inMaintenanceMode inQuarantineMode bootTime',
    'HostListSummary': 'host config runtime overallStatus',
    'HostConfigSummary': 'name port sslThumbprint product vmotionEnabled',
    'HostVmfsVolume': 'type name capacity blockSizeMb maxBlocks majorVersion version uuid',
    'VmfsDatastoreInfo': 'maxPhysicalRDMFileSize maxVirtualRDMFileSize vmfs',
    'DVPortgroupConfigInfo': 'key name numPorts distributedVirtualSwitch description type',
    'ResourcePoolRuntimeInfo': 'overallStatus',
    'VirtualMachineFileInfo': 'vmPathName snapshotDirectory suspendDirectory logDirectory',
    'TaskInfo': 'key task description name descriptionId entity entityName locked state cancelled cancelable error result'
    ' progress queueTime startTime completeTime',
    'TaskDescription': 'message label summary detail key',
    'ServiceContent': 'rootFolder propertyCollector viewManager about sessionManager authorizationManager searchIndex'
    ' taskManager eventManager fileManager virtualDiskManager customFieldsManager',
    'UserSession': 'key userName fullName loginTime lastActiveTime locale messageLocale',
    'Capability': 'provisioningSupported multiHostSupported',
}

PRIMITIVES = {
    'str': 'string', 'bool': 'boolean', 'int': 'int', 'long': 'long', 'datetime': 'dateTime', 'short': 'short',
    'byte': 'byte', 'float': 'float', 'double': 'double', 'object': 'anyType', 'type': 'string', 'binary': 'base64Binary',
    'URI': 'string', 'PropertyPath': 'string', 'ManagedMethod': 'string',
}
# As TypeScript sees them.
SCRIPT = {
    'string': 'string', 'boolean': 'boolean', 'int': 'number', 'long': 'number', 'short': 'number', 'byte': 'number',
    'float': 'number', 'double': 'number', 'dateTime': 'Date', 'anyType': 'unknown', 'base64Binary': 'Buffer',
}
ROOTS = (VmomiSupport.DataObject, vmodl.DynamicData)

types, enums, bases = {}, {}, {}


def item(t):
    while issubclass(t, list):
        t = t.Item
    return t


def is_data(t):
    return issubclass(t, VmomiSupport.DataObject) and t not in ROOTS


def is_managed(t):
    return issubclass(t, VmomiSupport.ManagedObject)


def name_of(t):
    t = item(t)
    if is_managed(t):
        return '&' + t._wsdlName
    if hasattr(t, '_wsdlName') and not issubclass(t, (str, int, float)) or issubclass(t, VmomiSupport.Enum):
        return t._wsdlName
    return PRIMITIVES[t.__name__]


class Field:
    """A field of a type, or a parameter of a method."""

    def __init__(self, info, type_):
        # pyVmomi folds the WSDL's LocalizedMethodFault, in which every fault in a data object is wrapped, into the fault.
        self.name, self.type, self.list = info.name, name_of(type_), issubclass(type_, list)
        self.optional = bool(info.flags & VmomiSupport.F_OPTIONAL)
        self.vim_type = item(type_)
        if self.type == 'MethodFault':
            self.type = 'LocalizedMethodFault'

    def table(self):
        kind = 'string' if self.type in enums else self.type
        return f"{self.name} {kind}{'[]' if self.list else ''}{'?' if self.optional else ''}"


def spoken(version):
    return VmomiSupport.IsChildVersion(VERSION, version)


def own_fields(t):
    name = t._wsdlName
    only = ONLY[name].split() if name in ONLY else None
    infos = [p for p in t.__dict__.get('_propList', []) if spoken(p.version)]
    if name == 'MethodFault':
        # pyVmomi's own: the message that the WSDL has in LocalizedMethodFault.
        infos = [p for p in infos if p.name != 'msg']
    if only is not None:
        # What the list of a type names stands in the type, or in one that it comes from.
        unknown = set(only) - {p.name for p in t._GetPropertyList()}
        if unknown:
            raise SystemExit(f'{name} has no {", ".join(sorted(unknown))}')
        infos = [p for p in infos if p.name in only]
    return [Field(p, p.type) for p in infos]


def collect(t, reached):
    """Adds a type with its base and all that its fields hold; `reached` names what was met."""
    t = item(t)
    if issubclass(t, VmomiSupport.Enum):
        enums[t._wsdlName] = list(t.values)
        return
    if not is_data(t) or t._wsdlName in reached:
        return
    name = t._wsdlName
    reached.add(name)
    base = t.__bases__[0]
    if name not in types:
        types[name] = (base._wsdlName if is_data(base) else None, own_fields(t))
    if is_data(base):
        collect(base, reached)
    for field in types[name][1]:
        collect(field.vim_type, reached)
    for concrete in CONCRETE_TYPES:
        if issubclass(concrete, t):
            collect(concrete, reached)


CONCRETE_TYPES = [VmomiSupport.GetVmodlType(n) for n in CONCRETE.split()]

in_requests, in_answers = set(), set()

methods = {}
for owner, names in METHODS.items():
    managed = VmomiSupport.GetVmodlType(owner)
    known = {m.wsdlName: m for m in managed._GetMethodList()}
    for name in names.split():
        method = known[name]
        params = [Field(p, p.type) for p in method.params if spoken(p.version)]
        for param in params:
            collect(param.vim_type, in_requests)
        # For a task: what the task ends with.
        result, ends_with = method.result, method.methodResult
        for answer in (result, ends_with):
            if answer not in (None, type(None)):
                collect(answer, in_answers)
        methods[name] = (managed._wsdlName, params, result, ends_with if name.endswith('_Task') else None, method.privId)

properties = {}
for owner, names in PROPERTIES.items():
    managed = VmomiSupport.GetVmodlType(owner)
    known = {p.name: p for p in managed._GetPropertyList()}
    fields = []
    for name in names.split():
        fields.append(Field(known[name], known[name].type))
        collect(fields[-1].vim_type, in_answers)
    properties[managed._wsdlName] = fields
for fault in FAULTS.split():
    collect(VmomiSupport.GetVmodlType(fault), in_answers)


class Unfolded:
    """A field of LocalizedMethodFault, of which pyVmomi has no definition."""

    def __init__(self, name, type_, optional, vim_type):
        self.name, self.type, self.optional, self.list, self.vim_type = name, type_, optional, False, vim_type

    table = Field.table


types['LocalizedMethodFault'] = (
    None,
    [Unfolded('fault', 'MethodFault', False, vmodl.MethodFault), Unfolded('localizedMessage', 'string', True, str)],
)

# Declared types that other types may stand for, in all that was collected.
substitutes = {}
for name in types:
    base = types[name][0]
    while base is not None:
        substitutes.setdefault(base, set()).add(name)
        base = types[base][0]


def script_type(field, sent):
    t = field.type
    if t.startswith('&'):
        one = 'ManagedObject' if sent else f"ManagedObject<{managed_names(field.vim_type)}>"
    elif t in SCRIPT:
        one = SCRIPT[t]
    elif t in substitutes:
        one = f'Any{t}'
    else:
        one = t
    return one + ('[]' if field.list else '')


def managed_names(t):
    """A name, and those of the kinds that may stand for it, where they are read too."""
    kinds = [k for k in properties if issubclass(MANAGED[k], t)]
    return ' | '.join(f"'{k}'" for k in kinds) if kinds else 'string'


MANAGED = {VmomiSupport.GetVmodlType(o)._wsdlName: VmomiSupport.GetVmodlType(o) for o in PROPERTIES}


def script_result(t, optional_list=False):
    if t is None or t is type(None):
        return 'undefined'
    one = item(t)
    if is_managed(one):
        text = f'ManagedObject<{managed_names(one)}>'
    else:
        name = name_of(one)
        text = SCRIPT.get(name, f'Any{name}' if name in substitutes else name)
    return text + ('[]' if issubclass(t, list) else '')


version = importlib.metadata.version('pyvmomi')
out = [
    f'// Generated by schema-generator.py from pyVmomi {version} (Apache 2.0, VMware). Do not edit: change what the generator names.',
    '',
    '/** A reference to an object that lives on the server, and the name of its type. */',
    'export interface ManagedObject<T extends string = string> { $ref: T; value: string }',
    '',
]
for name in sorted(enums):
    out.append(f"export type {name} = {' | '.join(repr(v) for v in enums[name])};")
out.append('')
for name in sorted(types):
    base, fields = types[name]
    sent = name in in_requests
    lines = []
    for field in fields:
        # The codec decodes an absent list as an empty one, so that a list of a type that is only read is always there.
        optional = field.optional and (sent or not field.list)
        lines.append(f"{field.name}{'?' if optional else ''}: {script_type(field, sent)};")
    # A type that stands for a declared one, or may, has to say what it is.
    mark = '' if base is not None or name in substitutes else '?'
    head = f"export interface {name}{f' extends Omit<{base}, {chr(39)}$type{chr(39)}>' if base else ''} {{"
    out += [head, f"$type{mark}: '{name}';", *lines, '}']
for name in sorted(substitutes):
    out.append(f"export type Any{name} = {' | '.join(sorted({name} | substitutes[name]))};")

out += ['', '/** What a method takes and answers; `ends` is what its task ends with. */', 'export interface Methods {']
for name in sorted(methods):
    owner, params, result, ends, _ = methods[name]
    args = ' '.join(f"{p.name}{'?' if p.optional else ''}: {script_type(p, True)};" for p in params)
    answer = "ManagedObject<'Task'>" if ends is not None else script_result(result)
    args = f'{{ {args} }}' if params else 'Record<string, never>'
    out.append(f"{name}: {{ args: {args}; result: {answer}; ends: {script_result(ends) if ends is not None else 'never'} }};")
out += ['}', '', '/** Properties of objects that are read. */', 'export interface Properties {']
for name in sorted(properties):
    fields = ' '.join(f"{f.name}{'?' if f.optional and not f.list else ''}: {script_type(f, False)};" for f in properties[name])
    out.append(f'{name}: {{ {fields} }};')
out += [
    '}',
    '',
    '/** A type: its base, and its own fields in the order of the schema, as `name type`; `[]` is a list, `?` may be absent, `&` a reference. */',
    'export const TYPES: Record<string, readonly [base: string | null, fields: string]> = {',
]
for name in sorted(types):
    base, fields = types[name]
    out.append(f"{name}: [{repr(base) if base else 'null'}, '{', '.join(f.table() for f in fields)}'],")
out += [
    '};',
    '',
    '/** A method: the type of its object, its parameters as above, the type of its answer, and the privilege that it needs, where it is one. */',
    'export const METHODS: Record<keyof Methods, { on: string; params: string; result: string; privilege: string | null }> = {',
]
for name in sorted(methods):
    owner, params, result, ends, privilege = methods[name]
    if ends is not None:
        kind = '&Task'
    else:
        kind = '' if result in (None, type(None)) else name_of(result) + ('[]' if issubclass(result, list) else '')
        kind = 'string' + kind[len(kind.rstrip('[]')):] if kind.rstrip('[]') in enums else kind
    out.append(
        f"{name}: {{ on: '{owner}', params: '{', '.join(p.table() for p in params)}', result: '{kind}', privilege: {repr(privilege) if privilege else 'null'} }},"
    )
out += ['};', '']
with open(sys.argv[1], 'w') as file:
    file.write('\n'.join(out))
print(len(types), 'types,', len(enums), 'enumerations,', len(methods), 'methods')
