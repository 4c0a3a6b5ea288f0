import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';

/** A program of the guest by which a shell script can ask a server. */
export interface HttpProgram {
  name: 'curl' | 'bash' | 'python3' | 'perl';
  path: string;
}

/** In the order in which they are taken: what is least likely to be broken first. */
const PLACES: [HttpProgram['name'], string[]][] = [
  ['curl', ['/usr/bin/curl', '/bin/curl']],
  ['bash', ['/bin/bash', '/usr/bin/bash']],
  // RHEL 8 has its own tools' Python apart.
  ['python3', ['/usr/bin/python3', '/usr/libexec/platform-python']],
  ['perl', ['/usr/bin/perl']],
];

/** @throws GuestNotAdaptableError where the guest has none */
export async function findHttpProgram(files: GuestFiles): Promise<HttpProgram> {
  for (const [name, paths] of PLACES) {
    for (const path of paths) {
      const real = await files.realpath(path);
      if (real !== undefined && (await files.stat(real))?.type === 'file') return { name, path };
    }
  }
  throw new GuestNotAdaptableError(
    `The guest has none of ${PLACES.map(([name]) => name).join(', ')}, by one of which a launch copy asks EC2 for the addresses of other VMs. ` +
      'Install curl in the guest.',
  );
}

/** Seconds for one request; what answers is the instance's own host, in milliseconds. */
const REQUEST_SECONDS = 10;
/** Longer answers are no user data. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * The body of a shell function `request METHOD PATH HEADER FILE`, which asks `$imds` (address:port), puts the answer's body into the
 * file and prints its status; it fails where nothing answers, or an answer is cut off. None heeds proxies or settings of a user.
 */
export function httpRequest({ name, path }: HttpProgram): string {
  const timeout = `  timeout ${REQUEST_SECONDS} ${path}`;
  if (name === 'curl')
    return (
      `${timeout} -q -s --noproxy '*' --connect-timeout 3 --max-filesize ${MAX_BODY_BYTES} -X "$1" -H "$3" -o "$4" ` +
      `-w '%{http_code}' "http://$imds$2"`
    );
  return `${timeout} ${PROGRAMS[name]} "$@" "$imds"`;
}

/** None has a single quote in it. */
const PROGRAMS: Record<Exclude<HttpProgram['name'], 'curl'>, string> = {
  bash: `--norc -c '
    exec 3<> "/dev/tcp/\${5%:*}/\${5##*:}" || exit 1
    printf "%s %s HTTP/1.1\\r\\nHost: %s\\r\\n%s\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n" "$1" "$2" "$5" "$3" >&3
    read -r version status rest <&3 || exit 1
    length=
    while IFS= read -r line <&3; do
      line=\${line%$(printf "\\r")}
      [ -n "$line" ] || break
      case \${line,,} in
        content-length:*) length=\${line//[^0-9]/} ;;
        transfer-encoding:*) exit 1 ;;
      esac
    done
    head -c "\${length:-${MAX_BODY_BYTES}}" <&3 > "$4"
    [ "\${length:-$(wc -c < "$4")}" -eq "$(wc -c < "$4")" ] || exit 1
    echo "$status"
  ' bash`,
  python3: `-I -c '
import http.client, sys
method, path, header, file, imds = sys.argv[1:]
try:
    connection = http.client.HTTPConnection(imds, timeout=5)
    connection.request(method, path, headers=dict([header.split(": ", 1)]))
    answer = connection.getresponse()
    told = answer.getheader("content-length")
    read = answer.read(${MAX_BODY_BYTES})
except (OSError, http.client.HTTPException):
    sys.exit(1)
if told is not None and len(read) != int(told):
    sys.exit(1)
with open(file, "wb") as body:
    body.write(read)
print(answer.status)
'`,
  perl: `-e '
use strict;
use IO::Socket::INET;
my ($method, $path, $header, $file, $imds) = @ARGV;
my $socket = IO::Socket::INET->new(PeerAddr => $imds, Timeout => 3) or exit 1;
print $socket "$method $path HTTP/1.1\\r\\nHost: $imds\\r\\n$header\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n";
$socket->flush;
my (undef, $status) = split / /, (readline($socket) // exit 1);
my $length;
while (defined(my $line = readline $socket)) {
  $line =~ s/\\r?\\n\\z//;
  last if $line eq "";
  exit 1 if $line =~ /^transfer-encoding:/i;
  $length = $1 if $line =~ /^content-length:\\s*(\\d+)/i;
}
my $read = read($socket, my $body, $length // ${MAX_BODY_BYTES});
exit 1 unless defined $read && $read == ($length // $read);
open(my $out, ">", $file) or exit 1;
print $out $body;
close $out or exit 1;
print "$status\\n";
'`,
};
