"""
Runs Lifeboat's reader of launch data by the interpreter beside this file. Arguments: the script, the directory that it is in, the guest's
system directory, and the metadata service's address and port. Prints what it puts out and its exit code as JSON.
"""
import json
import sys

from interpreter import Interpreter
from runtime import Runtime

script, directory, system, imds, wait = sys.argv[1:]
with open(script, newline='') as file:
    source = file.read().replace('http://169.254.169.254', f'http://{imds}')
for seconds in ('600', '60'):
    source = source.replace(f'$seconds = {seconds}', f'$seconds = {wait}')
variables = {'PSScriptRoot': directory, 'env:SystemRoot': system}
output, code = Interpreter(source, Runtime(), variables).run()
print(json.dumps({'code': code, 'console': '\n'.join(output)}))
