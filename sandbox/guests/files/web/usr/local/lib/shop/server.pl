#!/usr/bin/perl
# The shop's web page: reads and writes orders in the Redis database on the host "db".
# Perl because every Debian has it (perl-base) and it starts quickly; only core modules, for the same reason.
use strict;
use warnings;
use IO::Socket::INET;

my $MAX_BODY     = 64 * 1024;    # bytes of a request's body; an order is a line of text
my $PATIENCE     = 5;            # seconds for one request, database included
my $SITE_NOTE    = '/var/lib/shop/site';    # a line for the page, if somebody leaves one there
my $JSON_STRING  = qr/"(?:[^"\\\x00-\x1f]|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/;

# Sends one command to Redis and returns its answer: a scalar, or a reference to a list of scalars.
sub redis {
    my @words = @_;
    my $db = IO::Socket::INET->new(PeerAddr => 'db', PeerPort => 6379, Timeout => $PATIENCE)
        or die "db does not answer: $@\n";
    print $db '*' . @words . "\r\n" . join('', map { '$' . length($_) . "\r\n$_\r\n" } @words);
    $db->flush;
    return redis_reply($db);
}

sub redis_reply {
    my ($db) = @_;
    my $line = <$db>;
    defined $line or die "db closed the connection\n";
    my ($type, $rest) = $line =~ /^([+:\$*-])(.*)\r\n$/s or die "db sent no Redis reply\n";
    die "db refused: $rest\n" if $type eq '-';
    return $rest if $type eq '+' || $type eq ':';
    return undef if $rest < 0;
    return [ map { redis_reply($db) } 1 .. $rest ] if $type eq '*';
    my $bytes = '';
    while (length($bytes) < $rest + 2) {
        read($db, $bytes, $rest + 2 - length($bytes), length($bytes)) or die "db closed the connection\n";
    }
    return substr($bytes, 0, $rest);
}

# The orders are a Redis list of JSON strings; an order's id is its place in the list, counted from 1.
# So one RPUSH both stores an order and numbers it, and Redis answers after its fsync.
sub place_order { return redis('RPUSH', 'orders', $_[0]) }
sub order_json { my ($id, $item) = @_; return qq({"id":$id,"item":$item}) }

sub orders {
    my $items = redis('LRANGE', 'orders', 0, -1);
    my $id    = 0;
    return map { [ ++$id, $_ ] } @$items;
}

# The text of a JSON string, ready for HTML.
sub html_of_json_string {
    my ($text) = @_;
    my %escape = (b => ' ', f => ' ', n => ' ', r => ' ', t => ' ');
    $text = substr($text, 1, -1);
    utf8::decode($text);
    $text =~ s{\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)}{chr(0x10000 + ((hex($1) & 0x3ff) << 10) + (hex($2) & 0x3ff))}ge;
    $text =~ s{\\u([dD][89a-fA-F]..)}{\x{fffd}}g;
    $text =~ s{\\(?:u(....)|(.))}{defined $1 ? chr(hex $1) : $escape{$2} // $2}ge;
    return html($text);
}

sub html {
    my ($text) = @_;
    $text =~ s/([<>&"'])/'&#' . ord($1) . ';'/ge;
    utf8::encode($text);
    return $text;
}

sub first_line {
    my ($path) = @_;
    open my $file, '<', $path or return '';
    my $line = <$file> // '';
    chomp $line;
    utf8::decode($line);    # perl-base has no encoding layers
    return $line;
}

sub page {
    my $host = html(first_line('/etc/hostname'));
    my $note = html(first_line($SITE_NOTE));
    my $list = join '', map { "<li>" . html_of_json_string($_->[1]) . "</li>\n" } orders();
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Shop</title></head><body>\n"
        . "<h1>Shop</h1>\n<p>Served by $host.</p>\n"
        . ($note eq '' ? '' : "<p>$note</p>\n")
        . "<h2>Orders</h2>\n<ol>\n$list</ol>\n</body></html>\n";
}

# Returns status, content type and body.
sub answer {
    my ($method, $path, $body) = @_;
    my $text = 'text/plain; charset=utf-8';
    my $json = 'application/json';
    my %methods = ('/' => 'GET', '/health' => 'GET', '/orders' => 'GET, POST');
    my $allowed = $methods{$path} or return ('404 Not Found', $text, "no such page\n");
    index(", $allowed,", ", $method,") >= 0 or return ('405 Method Not Allowed', $text, "use $allowed\n");
    if ($path eq '/health') {
        redis('PING') eq 'PONG' or die "db does not serve\n";
        return ('200 OK', $text, 'ok');
    }
    return ('200 OK', 'text/html; charset=utf-8', page()) if $path eq '/';
    return ('200 OK', $json, '[' . join(',', map { order_json(@$_) } orders()) . ']') if $method eq 'GET';
    my ($item) = $body =~ /^\s*\{\s*"item"\s*:\s*($JSON_STRING)\s*\}\s*$/;
    my $decoded = $body;
    defined $item && utf8::decode($decoded)
        or return ('400 Bad Request', $text, "send {\"item\": \"...\"} in UTF-8\n");
    return ('201 Created', $json, order_json(place_order($item), $item));
}

# Reads one request and answers it; one connection carries one request.
sub serve {
    my ($client) = @_;
    my ($method, $path) = (<$client> // '') =~ m{^([A-Z]+) (/[^ ?]*)(?:\?[^ ]*)? HTTP/1\.[01]\r?\n$};
    my $length = 0;
    while (defined(my $header = <$client>)) {
        last if $header =~ /^\r?\n$/;
        $length = $1 if $header =~ /^content-length:\s*(\d{1,9})\s*$/i;
    }
    my $body = '';
    my @answer;
    if (!defined $method) {
        @answer = ('400 Bad Request', 'text/plain', "not HTTP/1.1\n");
    } elsif ($length > $MAX_BODY) {
        @answer = ('413 Content Too Large', 'text/plain', "too long\n");
    } else {
        while (length($body) < $length) {
            read($client, $body, $length - length($body), length($body)) or return;
        }
        @answer = eval { answer($method eq 'HEAD' ? 'GET' : $method, $path, $body) };
        @answer = ('503 Service Unavailable', 'text/plain; charset=utf-8', $@) if $@;
    }
    my ($status, $type, $content) = @answer;
    print $client "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: " . length($content)
        . "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        . (($method // '') eq 'HEAD' ? '' : $content);
}

$SIG{CHLD} = 'IGNORE';    # the kernel reaps the children
$SIG{PIPE} = 'IGNORE';
my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 64, ReuseAddr => 1) or die "cannot listen on port 80: $@\n";
if (open my $console, '>', '/dev/console') { print $console "shop: web page is up\n"; close $console }
while (1) {
    my $client = $server->accept or next;
    my $pid = fork;
    if (!defined $pid) { warn "cannot fork: $!\n"; next }
    if ($pid == 0) {
        close $server;
        $SIG{CHLD} = 'DEFAULT';
        alarm 2 * $PATIENCE;    # a client that stalls takes only its own process down
        serve($client);
        close $client;
        exit 0;
    }
    close $client;
}
