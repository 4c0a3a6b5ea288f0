"""
Runs a PowerShell script in the few constructs that Lifeboat's scripts at the start of Windows have, as about_* of PowerShell's documentation says
they work. What is not written here is an error, and not guessed. It is no PowerShell: it shows that the script does what its text says.
"""
import re

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

LANGUAGE = Language(tree_sitter_powershell.language())
ASSIGNED = {'=': lambda _, new: new, '+=': lambda old, new: old + new}
# Nodes that say more than their only child.
WHOLE = ('command', 'expandable_string_literal')
COMPARED = {
    '-eq': lambda a, b: a == b,
    '-ne': lambda a, b: a != b,
    '-lt': lambda a, b: a < b,
    '-le': lambda a, b: a <= b,
    '-gt': lambda a, b: a > b,
    '-ge': lambda a, b: a >= b,
    '-cmatch': lambda text, pattern: search(text, pattern),
    '-cnotmatch': lambda text, pattern: not search(text, pattern),
    '-match': lambda text, pattern: search(text, pattern, re.IGNORECASE),
    '-notmatch': lambda text, pattern: not search(text, pattern, re.IGNORECASE),
    '-creplace': lambda text, pair: re.sub(pair[0], pair[1], text),
    '-replace': lambda text, pair: re.sub(pair[0], pair[1], text, flags=re.IGNORECASE),
    '-isnot': lambda value, kind: not isinstance(value, kind),
}


def search(text, pattern, flags=0):
    # \z of .NET is \Z of Python.
    return re.search(pattern.replace('\\z', '\\Z'), text_of(text), flags) is not None


class Break(Exception):
    pass


class Continue(Exception):
    pass


class Exit(Exception):
    pass


class Return(Exception):
    pass


class Failure(Exception):
    """What a catch block has as $_.Exception: of a throw, or of a method, whose own exception is the inner one."""

    def __init__(self, message, inner=None):
        super().__init__(message)
        self.Message = message
        self.InnerException = inner


class Record:
    def __init__(self, failure):
        self.Exception = failure


def text_of(value):
    return '' if value is None else str(value)


class Interpreter:
    """@param runtime the types, members and commands that the script uses"""

    def __init__(self, source, runtime, variables):
        self.source = source.encode()
        self.root = Parser(LANGUAGE).parse(self.source).root_node
        if self.root.has_error:
            raise SyntaxError('The script is no PowerShell.')
        self.runtime = runtime
        self.scopes = [dict(variables)]
        self.functions = {}

    def run(self):
        """Returns what the script has put out, and its exit code."""
        output = []
        try:
            self.statements(self.root, output)
        except Exit as ended:
            return output, ended.args[0]
        return output, 0

    # Statements, which put values out.

    def statements(self, node, output):
        for child in node.named_children:
            if child.type in ('statement_list', 'script_block', 'script_block_body'):
                self.statements(child, output)
            else:
                getattr(self, 'do_' + child.type)(child, output)

    def do_comment(self, node, output):
        pass

    do_empty_statement = do_comment

    def do_function_statement(self, node, output):
        name = child(node, 'function_name').text.decode()
        declared = child(node, 'function_parameter_declaration')
        parameters = [] if declared is None else [one.text.decode()[1:] for one in found(declared, 'variable')]
        self.functions[name] = (parameters, child(node, 'script_block'))

    def do_pipeline(self, node, output):
        only = node.named_children[0]
        if only.type == 'assignment_expression':
            return self.assign(only)
        inner = single(only)
        if inner.type == 'post_increment_expression':
            return self.put(inner.named_children[0], self.value(inner.named_children[0]) + 1)
        commands = [one for one in only.named_children if one.type == 'command']
        if len(commands) == 2:
            # Whatever comes is left out, or put into order by one member of it.
            piped = self.command(commands[0])
            if commands[1].text == b'Out-Null':
                return None
            name, by = commands[1].text.decode().split()
            assert name == 'Sort-Object'
            return output.extend(sorted(piped, key=lambda one: self.runtime.get(one, by)))
        if len(only.named_children) != 1:
            raise NotImplementedError(node.text)
        values = self.command(commands[0]) if commands else [self.value(only)]
        return output.extend(value for value in values if value is not None)

    def do_if_statement(self, node, output):
        conditions = [node, *found(node, 'elseif_clause', 1)]
        for one in conditions:
            if self.value(child(one, 'pipeline')):
                return self.statements(child(one, 'statement_block'), output)
        otherwise = child(node, 'else_clause')
        if otherwise is not None:
            self.statements(child(otherwise, 'statement_block'), output)

    def do_while_statement(self, node, output):
        self.loop(lambda: self.value(child(node, 'while_condition')), node, output)

    def do_for_statement(self, node, output):
        self.do_pipeline(child(node, 'for_initializer').named_children[0], output)
        self.loop(
            lambda: self.value(child(node, 'for_condition')),
            node,
            output,
            lambda: self.do_pipeline(child(node, 'for_iterator').named_children[0], output),
        )

    def loop(self, condition, node, output, step=lambda: None):
        try:
            while condition():
                self.statements(child(node, 'statement_block'), output)
                step()
        except Break:
            pass

    def do_foreach_statement(self, node, output):
        variable, values = child(node, 'variable'), self.value(child(node, 'pipeline'))
        for one in list(values):
            self.put(variable, one)
            try:
                self.statements(child(node, 'statement_block'), output)
            except Continue:
                pass

    def do_try_statement(self, node, output):
        try:
            self.statements(child(node, 'statement_block'), output)
        except Failure as failure:
            clauses = child(node, 'catch_clauses')
            if clauses is None:
                raise
            self.scopes[-1]['_'] = Record(failure)
            self.statements(child(clauses.named_children[0], 'statement_block'), output)
        finally:
            last = child(node, 'finally_clause')
            if last is not None:
                self.statements(child(last, 'statement_block'), output)

    def do_flow_control_statement(self, node, output):
        kind, values = node.children[0].type, node.named_children
        if kind in ('break', 'continue'):
            raise Break() if kind == 'break' else Continue()
        value = self.value(values[0]) if values else None
        if kind == 'return':
            output.extend([] if value is None else [value])
            raise Return()
        if kind == 'throw' and isinstance(value, Record):
            raise value.Exception
        raise Exit(value) if kind == 'exit' else Failure(text_of(value))

    # Values.

    def assign(self, node):
        target, operator, source = node.named_children
        old = self.value(single(target)) if operator.text != b'=' else None
        self.put(single(target), ASSIGNED[operator.text.decode()](old, self.value(source)))

    def put(self, target, value):
        if target.type == 'variable':
            self.scopes[-1][target.text.decode()[1:]] = value
        elif target.type == 'member_access':
            holder, name = target.named_children
            self.runtime.put(self.value(holder), name.text.decode(), value)
        else:
            raise NotImplementedError(target.text)

    def value(self, node: Node):
        node = single(node)
        return getattr(self, 'value_' + node.type)(node)

    def value_variable(self, node):
        name = node.text.decode()[1:]
        if name in ('true', 'false', 'null'):
            return {'true': True, 'false': False, 'null': None}[name]
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name.startswith('env:'):
            return self.runtime.environment.get(name[4:])
        raise NameError(f'${name} has no value.')

    def value_verbatim_string_characters(self, node):
        return node.text.decode()[1:-1].replace("''", "'")

    def value_expandable_string_literal(self, node):
        text, at = '', node.start_byte + 1
        for part in [*node.named_children, None]:
            end = node.end_byte - 1 if part is None else part.start_byte
            text += self.source[at:end].decode().replace('`r', '\r').replace('`n', '\n')
            if part is not None:
                text, at = text + text_of(self.value(part)), part.end_byte
        if '`' in text:
            raise NotImplementedError(node.text)
        return text

    def value_sub_expression(self, node):
        output = []
        self.statements(node, output)
        return unrolled(output)

    def value_decimal_integer_literal(self, node):
        return int(node.text)

    def value_parenthesized_expression(self, node):
        return self.value(node.named_children[0])

    def value_command(self, node):
        return unrolled(self.command(node))

    def value_hash_literal_expression(self, node):
        return {
            entry.named_children[0].text.decode(): self.value(entry.named_children[1])
            for entry in found(node, 'hash_entry')
        }

    def value_array_expression(self, node):
        output = []
        self.statements(node, output)
        return output

    def value_array_literal_expression(self, node):
        return [self.value(one) for one in node.named_children]

    def value_logical_expression(self, node):
        left, operator, right = node.children
        if operator.text == b'-and':
            return bool(self.value(left)) and bool(self.value(right))
        if operator.text == b'-or':
            return bool(self.value(left)) or bool(self.value(right))
        raise NotImplementedError(node.text)

    def value_comparison_expression(self, node):
        left, operator, right = node.children
        return COMPARED[operator.text.decode()](self.value(left), self.value(right))

    def value_additive_expression(self, node):
        left, operator, right = node.children
        one, other = self.value(left), self.value(right)
        if operator.text == b'-':
            return one - other
        # The left side decides of what kind a sum is.
        return one + text_of(other) if isinstance(one, str) else one + other

    value_additive_argument_expression = value_additive_expression

    def value_expression_with_unary_operator(self, node):
        if node.children[0].text != b'-not':
            raise NotImplementedError(node.text)
        return not self.value(node.named_children[-1])

    def value_cast_expression(self, node):
        kind, value = node.named_children
        return self.runtime.cast(kind.text.decode(), self.value(value))

    def value_type_literal(self, node):
        return self.runtime.type(node.text.decode()[1:-1])

    def value_element_access(self, node):
        holder, index = node.named_children
        return self.runtime.element(self.value(holder), self.value(index))

    def value_member_access(self, node):
        holder, name = node.named_children
        return self.method(lambda: self.runtime.get(self.value(holder), name.text.decode()))

    def value_invokation_expression(self, node):
        holder, name, arguments = node.named_children
        given = [self.value(one) for one in found(arguments, 'argument_expression')]
        target = self.value(holder)
        return self.method(lambda: self.runtime.call(target, name.text.decode(), given))

    def method(self, work):
        """What a method throws is the inner exception of PowerShell's own."""
        try:
            return work()
        except self.runtime.exceptions as error:
            raise Failure(f'Exception calling a method: {error}', error) from error

    # Commands.

    def command(self, node):
        name = next(found(node, 'command_name')).text.decode()
        elements = child(node, 'command_elements')
        given, to = [], None
        for one in [] if elements is None else elements.named_children:
            if one.type in ('generic_token', 'command_parameter'):
                given.append(one.text.decode())
            elif one.type == 'argument_list':
                given += [self.value(each) for each in found(one, 'argument_expression')]
            elif one.type == 'redirection':
                target = self.value(child(child(one, 'redirected_file_name'), 'array_literal_expression'))
                # Where errors go is not told apart: they are none of the output.
                to = target if one.text.startswith(b'*>') else None
            elif one.type != 'command_argument_sep':
                given.append(self.value(one))
        if name not in self.functions:
            output = self.runtime.command(name, given)
            self.scopes[0]['LASTEXITCODE'] = self.runtime.exit_code
            if to is None:
                return output
            return self.runtime.redirect(to, output)
        parameters, body = self.functions[name]
        if len(given) > len(parameters):
            raise NotImplementedError(node.text)
        # All of them are [string], for which nothing is an empty text.
        self.scopes.append({one: text_of(value) for one, value in zip(parameters, given)})
        output = []
        try:
            self.statements(body, output)
        except Return:
            pass
        finally:
            self.scopes.pop()
        return output


def single(node):
    """The node that says something: an expression of one part is nested in all that it could be."""
    while node.type not in WHOLE and node.child_count == 1 and node.named_child_count == 1:
        node = node.named_children[0]
    return node


def child(node, kind):
    return next((one for one in node.named_children if one.type == kind), None)


def found(node, kind, depth=99):
    for one in node.named_children:
        if one.type == kind:
            yield one
        elif depth > 1:
            yield from found(one, kind, depth - 1)


def unrolled(output):
    return None if not output else output[0] if len(output) == 1 else output
