"""
Runs Lifeboat's scripts at the start of Windows by the interpreter beside this file. Arguments: the script, the guest's system directory, the
metadata service's address and port, and the seconds for which it is asked. Prints what was put out, or told on COM1, and the exit code as JSON.
"""
import json
import os
import sys

from interpreter import Interpreter
from runtime import Runtime

script, system, imds, wait = sys.argv[1:]
environment = {'SystemRoot': system}
console = []


class Item:
    def __init__(self, path):
        self.FullName = path
        self.Name = os.path.basename(path)
        self.Extension = os.path.splitext(path)[1]


class SerialPort:
    def __init__(self, name, speed):
        assert name == 'COM1'
        self.WriteTimeout = -1

    def Open(self):
        pass

    def Write(self, text):
        console.append(text)

    def Close(self):
        pass


class Environment:
    @staticmethod
    def SetEnvironmentVariable(name, value, of):
        assert of == 'Process'
        environment[name] = value


class Machine(Runtime):
    """With what the runner of boot scripts uses."""

    types = {**Runtime.types, 'Environment': Environment}
    new = {**Runtime.new, 'System.IO.Ports.SerialPort': SerialPort}

    def command(self, name, given):
        if name.startswith('-') or not given:
            raise NotImplementedError(name)
        named = dict(zip(given[::2], given[1::2]))
        path = named.get('-Path', given[0])
        if name == 'Test-Path':
            return [os.path.exists(path)]
        if name == 'Get-Content':
            with open(path) as file:
                return file.read().splitlines()[: named.get('-TotalCount')]
        if name in ('Add-Content', 'Set-Content'):
            with open(path, 'a' if name == 'Add-Content' else 'w') as file:
                file.write(f'{named["-Value"]}\r\n')
            return []
        if name == 'Get-ChildItem':
            return [Item(os.path.join(path, one)) for one in reversed(sorted(os.listdir(path)))]
        if name == 'New-Item':
            os.mkdir(given[given.index('-Path') + 1])
            return [path]
        if name == 'Get-Date':
            return ['2026-12-01']
        if name == 'icacls.exe':
            return []
        if name == 'powershell.exe':
            assert given[:-1] == ['-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File']
            output, self.exit_code = run(given[-1])
            return output
        return super().command(name, given)

    def redirect(self, path, output):
        with open(path, 'w') as file:
            file.write(''.join(f'{line}\n' for line in output))
        return []


def run(path):
    with open(path, newline='') as file:
        source = file.read().replace('http://169.254.169.254', f'http://{imds}')
    for seconds in ('600', '60'):
        source = source.replace(f'$seconds = {seconds}', f'$seconds = {wait}')
    state = os.path.join(os.path.dirname(system), 'ProgramData', 'Lifeboat')
    source = source.replace("'C:\\ProgramData\\Lifeboat'", f"'{state}'")
    return Interpreter(source, Machine(environment), {'PSScriptRoot': os.path.dirname(path)}).run()


output, code = run(script)
print(json.dumps({'code': code, 'console': '\n'.join(output) + ''.join(console)}))
