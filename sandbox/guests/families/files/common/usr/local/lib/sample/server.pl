#!/usr/bin/perl
# The page of a sample VM: says what it runs on, and keeps notes in a file, so that it can be told after every move
# whether the VM is what it was. Perl because every Debian has it (perl-base); only core modules, for the same reason.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;

my $MAX_BODY = 64 * 1024;            # bytes of a request's body; a note is a line of text
my $PATIENCE = 5;                    # seconds for one request
my $NOTES    = '/srv/data/notes';    # one JSON string a line
my $JSON_STRING = qr/"(?:[^"\\\x00-\x1f]|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/;

sub lines_of {
    my ($path) = @_;
    open my $file, '<', $path or return ();
    my @lines = <$file>;
    chomp @lines;
    return @lines;
}

# Device, type and options of what is mounted at a path; the last mount hides those before it.
sub mounted_at {
    my ($path) = @_;
    my ($found) = grep { $_->[1] eq $path } reverse map { [split / /] } lines_of('/proc/mounts');
    return $found ? @$found[0, 2, 3] : ('', '', '');
}

sub json_string {
    my ($text) = @_;
    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ge;
    return qq("$text");
}

sub about {
    my ($device, $type, $options) = mounted_at('/');
    my ($enforcing) = lines_of('/sys/fs/selinux/enforce');
    my %facts = (
        hostname => (lines_of('/proc/sys/kernel/hostname'))[0],
        kernel   => (lines_of('/proc/sys/kernel/osrelease'))[0],
        root     => "$type on $device",
        options  => $options,
        data     => join(' on ', reverse((mounted_at('/srv/data'))[0, 1])),
        selinux  => defined $enforcing ? ($enforcing ? 'enforcing' : 'permissive') : 'off',
    );
    return \%facts;
}

# On disk before it is acknowledged.
sub keep_note {
    my ($note) = @_;
    open my $file, '>>', $NOTES or die "cannot write $NOTES: $!\n";
    print $file "$note\n";
    $file->flush && $file->sync && close $file or die "cannot write $NOTES: $!\n";
}

sub html { my ($text) = @_; $text =~ s/([<>&"'])/'&#' . ord($1) . ';'/ge; return $text }

sub page {
    my $facts = about();
    my $rows = join '', map { "<dt>$_</dt><dd>" . html($facts->{$_}) . "</dd>\n" } sort keys %$facts;
    my $notes = join '', map { '<li>' . html($_) . "</li>\n" } lines_of($NOTES);
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>$facts->{hostname}</title></head><body>\n"
        . "<h1>$facts->{hostname}</h1>\n<dl>\n$rows</dl>\n<h2>Notes</h2>\n<ol>\n$notes</ol>\n</body></html>\n";
}

# Returns status, content type and body.
sub answer {
    my ($method, $path, $body) = @_;
    my ($text, $json) = ('text/plain; charset=utf-8', 'application/json');
    my %methods = ('/' => 'GET', '/health' => 'GET', '/about' => 'GET', '/notes' => 'GET, POST');
    my $allowed = $methods{$path} or return ('404 Not Found', $text, "no such page\n");
    index(", $allowed,", ", $method,") >= 0 or return ('405 Method Not Allowed', $text, "use $allowed\n");
    return ('200 OK', 'text/html; charset=utf-8', page()) if $path eq '/';
    if ($path eq '/about') {
        my $facts = about();
        return ('200 OK', $json, '{' . join(',', map { json_string($_) . ':' . json_string($facts->{$_}) } sort keys %$facts) . '}');
    }
    if ($path eq '/health') {
        -d '/srv/data' && -w _ or die "the data is not there\n";
        return ('200 OK', $text, 'ok');
    }
    return ('200 OK', $json, '[' . join(',', lines_of($NOTES)) . ']') if $method eq 'GET';
    $body =~ /\A\s*($JSON_STRING)\s*\z/ or return ('400 Bad Request', $text, "send a JSON string\n");
    keep_note($1);
    return ('201 Created', $text, "kept\n");
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
    my @answer = ('400 Bad Request', 'text/plain', "not HTTP/1.1\n");
    if ($length > $MAX_BODY) {
        @answer = ('413 Content Too Large', 'text/plain', "too long\n");
    } elsif (defined $method) {
        my $body = '';
        while (length($body) < $length) {
            read($client, $body, $length - length($body), length($body)) or return;
        }
        @answer = eval { answer($method, $path, $body) };
        @answer = ('503 Service Unavailable', 'text/plain; charset=utf-8', $@) if $@;
    }
    my ($status, $type, $content) = @answer;
    print $client "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: " . length($content)
        . "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n$content";
}

$SIG{CHLD} = 'IGNORE';    # the kernel reaps the children
$SIG{PIPE} = 'IGNORE';
my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 64, ReuseAddr => 1) or die "cannot listen on port 80: $@\n";
while (1) {
    my $client = $server->accept or next;
    my $pid = fork;
    if (!defined $pid) { warn "cannot fork: $!\n"; next }
    if ($pid == 0) {
        close $server;
        alarm 2 * $PATIENCE;    # a client that stalls takes only its own process down
        serve($client);
        close $client;
        exit 0;
    }
    close $client;
}
