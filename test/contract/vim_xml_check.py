"""Compares requests that the project's client wrote with what pyVmomi writes for the same call, whose definitions and code it shares nothing with.

Reads a list of {method, self, args, xml} from standard input, prints a list of {method, differences}.
"""

import json
import sys
import xml.etree.ElementTree as ET
from io import BytesIO

from pyVmomi import SoapAdapter, VmomiSupport, vim, vmodl  # noqa: F401

VERSION = 'vim.version.v7_0'
NAMESPACE = 'urn:vim25'
XSI_TYPE = '{http://www.w3.org/2001/XMLSchema-instance}type'


def wsdl_type(name):
    return VmomiSupport.GetWsdlType(NAMESPACE, name)


def value_of(declared, value):
    """A value of pyVmomi's from one in JSON."""
    if value is None:
        return None
    if isinstance(value, list):
        return [value_of(getattr(declared, 'Item', declared), one) for one in value]
    if isinstance(value, dict):
        if '$ref' in value:
            return wsdl_type(value['$ref'])(value['value'])
        type_ = wsdl_type(value['$type']) if '$type' in value else getattr(declared, 'Item', declared)
        made = type_()
        for key, one in value.items():
            if key != '$type':
                setattr(made, key, value_of(type_._GetPropertyInfo(key).type, one))
        return made
    if declared is type:
        return wsdl_type(value)
    # In an untyped place, pyVmomi takes any number of Python's for an int, whose 32 bits these do not fit into.
    if isinstance(value, int) and (declared is VmomiSupport.long or declared is object and abs(value) >= 2**31):
        return VmomiSupport.long(value)
    return value


def method_of(managed, name):
    return next(m for m in managed._GetMethodList() if m.wsdlName == name)


def pyvmomi_xml(request):
    managed = wsdl_type(request['self']['$ref'])
    method = method_of(managed, request['method'])
    args = [value_of(p.type, request['args'].get(p.name)) for p in method.params]
    stub = SoapAdapter.SoapStubAdapter(host='nowhere.invalid', version=VERSION)
    return stub.SerializeRequest(managed(request['self']['value']), method, args)


def tree(element, namespaces):
    """Name, attributes, text and children, with prefixes resolved."""
    attributes = {}
    for key, value in element.attrib.items():
        # pyVmomi's own: not in VMware's WSDL, nor sent by its other clients.
        if key == 'versionId':
            continue
        if key == XSI_TYPE:
            prefix, _, name = value.rpartition(':')
            value = (namespaces[prefix], name)
        attributes[key] = value
    return element.tag, attributes, element.text or '', [tree(child, namespaces) for child in element]


def parsed(text):
    data = text if isinstance(text, bytes) else text.encode()
    namespaces = {'': NAMESPACE}
    for _, (prefix, uri) in ET.iterparse(BytesIO(data), events=['start-ns']):
        if prefix:
            namespaces[prefix] = uri
    root = ET.fromstring(data)
    body = next(e for e in root if e.tag.endswith('}Body'))
    return tree(body[0], namespaces)


def compare(ours, theirs, path, found):
    if ours[0] != theirs[0]:
        found.append(f'{path}: element {ours[0]}, pyVmomi {theirs[0]}')
        return
    path = f"{path}/{ours[0].split('}')[-1]}"
    if ours[1] != theirs[1]:
        found.append(f'{path}: attributes {ours[1]}, pyVmomi {theirs[1]}')
    names = [c[0] for c in ours[3]], [c[0] for c in theirs[3]]
    if names[0] != names[1]:
        found.append(f'{path}: children {names[0]}, pyVmomi {names[1]}')
        return
    if not ours[3] and ours[2] != theirs[2]:
        found.append(f'{path}: text {ours[2]!r}, pyVmomi {theirs[2]!r}')
    for mine, their in zip(ours[3], theirs[3]):
        compare(mine, their, path, found)


results = []
for request in json.load(sys.stdin):
    differences = []
    compare(parsed(request['xml']), parsed(pyvmomi_xml(request)), '', differences)
    results.append({'method': request['method'], 'differences': differences})
print(json.dumps(results))
