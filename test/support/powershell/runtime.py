"""The few types, members and cmdlets that Lifeboat's scripts at the start of Windows use, for the interpreter beside this file."""
import http.client
import os
import time


class WebException(Exception):
    def __init__(self, message, response=None):
        super().__init__(message)
        self.Message = message
        self.InnerException = None
        self.Response = response


class IoException(Exception):
    def __init__(self, error):
        super().__init__(str(error))
        self.Message = str(error)
        self.InnerException = None


class Latin1:
    def GetString(self, data, start=0, count=None):
        return bytes(data[start : len(data) if count is None else start + count]).decode('latin1')

    def GetBytes(self, text):
        return bytearray(text.encode('latin1'))


class Encoding:
    @staticmethod
    def GetEncoding(page):
        assert page == 28591
        return Latin1()


class Stopwatch:
    def __init__(self):
        self.began = time.monotonic()

    StartNew = classmethod(lambda cls: cls())

    @property
    def Elapsed(self):
        return self

    @property
    def TotalSeconds(self):
        return time.monotonic() - self.began


class List(list):
    def Add(self, value):
        self.append(value)

    def ToArray(self):
        return list(self)


class Dictionary(dict):
    def ContainsKey(self, key):
        return key in self

    def Add(self, key, value):
        assert key not in self
        self[key] = value


class FileStream:
    def __init__(self, path):
        self.file = open(path, 'wb')

    def Write(self, data, start, count):
        self.file.write(data[start : start + count])

    def Flush(self, toDisk):
        self.file.flush()

    def Close(self):
        self.file.close()


class File:
    @staticmethod
    def Exists(path):
        return os.path.isfile(path)

    @staticmethod
    def ReadAllBytes(path):
        with open(path, 'rb') as file:
            return bytearray(file.read())

    @staticmethod
    def ReadAllLines(path):
        with open(path, newline='') as file:
            return file.read().splitlines()

    Create = FileStream

    @staticmethod
    def GetAttributes(path):
        return os.stat(path).st_mode

    @staticmethod
    def SetAttributes(path, attributes):
        os.chmod(path, 0o644 if attributes is None else attributes)

    busy = True

    @classmethod
    def Replace(cls, source, target, backup):
        # The first time, somebody else has the file open.
        if cls.busy:
            cls.busy = False
            raise OSError('The process cannot access the file')
        assert backup is None and os.access(target, os.W_OK)
        if not os.path.isfile(target):
            raise FileNotFoundError(target)
        os.replace(source, target)

    @staticmethod
    def Move(source, target):
        if os.path.exists(target):
            raise FileExistsError(target)
        os.rename(source, target)


class Headers(dict):
    def Add(self, name, value):
        self[name] = value


class WebRequest:
    def __init__(self, url):
        scheme, _, self.host, self.path = url.split('/', 3)
        assert scheme == 'http:'
        self.Headers = Headers()
        self.Method = 'GET'
        self.ContentLength = -1
        self.Proxy = 'the one of the settings'
        self.AllowAutoRedirect = self.KeepAlive = True
        self.Timeout = self.ReadWriteTimeout = 100_000
        self.ServicePoint = type('ServicePoint', (), {'Expect100Continue': True})()

    Create = classmethod(lambda cls, url: cls(url))

    def GetResponse(self):
        assert self.Proxy is None and not self.AllowAutoRedirect
        assert not self.ServicePoint.Expect100Continue
        try:
            connection = http.client.HTTPConnection(self.host, timeout=self.Timeout / 1000)
            headers = dict(self.Headers)
            if self.ContentLength >= 0:
                headers['Content-Length'] = str(self.ContentLength)
            connection.request(self.Method, '/' + self.path, headers=headers)
            response = WebResponse(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise WebException(str(error)) from error
        if response.StatusCode >= 300:
            raise WebException(f'The server answers {response.StatusCode}.', response)
        return response


class WebResponse:
    def __init__(self, answer):
        self.answer = answer
        self.StatusCode = answer.status
        length = answer.getheader('content-length')
        self.ContentLength = -1 if length is None else int(length)

    def GetResponseStream(self):
        return self

    def Read(self, buffer, start, count):
        # As a network gives it: not all at once.
        try:
            part = self.answer.read(min(count, 1000))
        except (OSError, http.client.HTTPException) as error:
            raise IoException(error) from error
        buffer[start : start + len(part)] = part
        return len(part)

    def Close(self):
        self.answer.close()


TEXT = {
    'Length': len,
    'Equals': lambda text, other: text == other,
    'Split': lambda text, characters, count=0: text.split(one_of(characters), count - 1 if count else -1),
    'Substring': lambda text, start, length=None: text[start:] if length is None else text[start : start + length],
    'Trim': lambda text: text.strip(),
    'TrimEnd': lambda text, characters: text.rstrip(characters),
}


def one_of(characters):
    (only,) = characters
    return only


class Runtime:
    exceptions = (WebException, IoException, OSError)
    types = {
        'Diagnostics.Stopwatch': Stopwatch,
        'IO.File': File,
        'IO.FileAttributes': type('FileAttributes', (), {'Normal': None}),
        'Net.WebException': WebException,
        'Net.WebRequest': WebRequest,
        'NullString': type('NullString', (), {'Value': None}),
        'Text.Encoding': Encoding,
        'string': type('String', (), {'Join': staticmethod(lambda between, parts: between.join(parts))}),
    }
    new = {
        'System.Collections.Generic.Dictionary[string,string]': Dictionary,
        'System.Collections.Generic.List[string]': List,
        'byte[]': bytearray,
    }

    def __init__(self, environment=None):
        self.environment = environment or {}
        # Of the last program.
        self.exit_code = 0

    def type(self, name):
        return self.types[name]

    def cast(self, name, value):
        if name == '[char]':
            return chr(value) if isinstance(value, int) else value
        return {'[char[]]': list, '[int]': int, '[string]': str}[name](value)

    def get(self, holder, name):
        if isinstance(holder, dict) and type(holder) is dict:
            return holder[name]
        if name in ('Length', 'Count'):
            return len(holder)
        return getattr(holder, name)

    def put(self, holder, name, value):
        if type(holder) is dict:
            holder[name] = value
        else:
            assert hasattr(holder, name), name
            setattr(holder, name, value)

    def element(self, holder, index):
        if isinstance(holder, dict):
            return holder[index]
        return holder[index] if index < len(holder) else None

    def call(self, holder, name, given):
        return TEXT[name](holder, *given) if isinstance(holder, str) else getattr(holder, name)(*given)

    def command(self, name, given):
        if name == 'Join-Path':
            return ['/'.join([given[0], given[1].replace('\\', '/')])]
        if name == 'Split-Path':
            assert given[0] == '-Parent'
            return [os.path.dirname(given[1])]
        if name == 'New-Object':
            return [self.new[given[0]](*given[1:])]
        if name == 'Write-Output':
            return given
        if name == 'Start-Sleep':
            assert given[0] == '-Seconds'
            time.sleep(given[1] / 100)
            return []
        assert (name, given) == ('ipconfig.exe', ['/flushdns'])
        return []
