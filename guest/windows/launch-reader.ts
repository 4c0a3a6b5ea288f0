import { ADDRESS, LAUNCH_DATA_HEADER, MAX_USER_DATA_BYTES, PLACEHOLDER, RUN_ID } from '../launch-data';
import { BLOCK_BEGIN, BLOCK_END } from '../linux/changes/marked-text';

/**
 * All of the user data that a guest takes, without the anchors of either language: means the same to .NET and to JavaScript. Stricter
 * than what Linux guests take: the lines are in the order in which they are written.
 */
export const LAUNCH_DATA = `${LAUNCH_DATA_HEADER}\\nrun ${RUN_ID}\\n(address ${PLACEHOLDER} (?!${PLACEHOLDER}\\n)${ADDRESS}\\n)*`;
/** Of what a file is written to before it takes the file's place. */
export const CUT_OFF_SUFFIX = '.lifeboat';

/**
 * Seconds for an address by DHCP and an answer of the metadata service. Nothing but boot scripts waits for it, and a first start on new
 * hardware installs its network card's driver meanwhile. A boot that has what an earlier one was told waits for less.
 */
const WAIT_SECONDS = 600;
const WAIT_AGAIN_SECONDS = 60;
/** A second apart. */
const WRITE_TRIES = 20;
/** For the body of one answer, whose parts may come one by one. */
const BODY_SECONDS = 10;

/**
 * The script that reads the launch data at each start of Windows; Start-Lifeboat.ps1 starts it, tells its output on the console, and
 * goes on where it ends with 0. Like the one of Linux guests (../linux/stay/launch-reader.ts) it fills in what the adaptation
 * left beside it with placeholders, takes the data whole or not at all, and changes nothing for data that it has filled in already.
 *
 * No PowerShell has run it, as none was to be had: so all checking of the data is one pattern, all filling in goes by whole words, and it keeps
 * to few constructs, which an interpreter of the tests has (test/support/powershell). For PowerShell 4.0 on. Comparisons are by Equals and by the operators with a "c": the others ignore case,
 * and characters that cannot be seen.
 */
export const LAUNCH_READER_SCRIPT = `# Reads what this launch of the machine is told by its user data (IMDSv2): the run's id and addresses of other machines.
$ErrorActionPreference = 'Stop'
$directory = $PSScriptRoot
$applied = Join-Path $directory 'applied'
# Each byte is a character, and each character the same byte again.
$latin1 = [Text.Encoding]::GetEncoding(28591)

function Read-Text([string] $path) {
    return $latin1.GetString([IO.File]::ReadAllBytes($path))
}

# The file keeps its rights, and is there whole at any time.
function Write-Whole([string] $path, [string] $text) {
    $next = $path + '${CUT_OFF_SUFFIX}'
    $bytes = $latin1.GetBytes($text)
    $stream = [IO.File]::Create($next)
    try {
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally {
        $stream.Close()
    }
    $there = [IO.File]::Exists($path)
    if ($there) { $attributes = [IO.File]::GetAttributes($path) }
    $tries = 0
    # What looks for viruses has a new file open for a moment.
    while ($true) {
        try {
            if (-not $there) {
                [IO.File]::Move($next, $path)
                return
            }
            [IO.File]::SetAttributes($path, [IO.FileAttributes]::Normal)
            [IO.File]::Replace($next, $path, [NullString]::Value)
            [IO.File]::SetAttributes($path, $attributes)
            return
        } catch {
            $tries++
            if ($tries -ge ${WRITE_TRIES}) { throw $_ }
            Start-Sleep -Seconds 1
        }
    }
}

# Status 0 where nothing answers, or an answer is cut off.
function Get-Answer([string] $method, [string] $path, [string] $header, [string] $value) {
    $answer = @{ Status = 0; Text = '' }
    $response = $null
    try {
        $request = [Net.WebRequest]::Create('http://169.254.169.254' + $path)
        $request.Method = $method
        if ($method.Equals('PUT')) { $request.ContentLength = 0 }
        $request.Headers.Add($header, $value)
        # Nothing stands between a machine and its own host: no proxy of anybody's settings, and no other place that an answer names.
        $request.Proxy = $null
        $request.AllowAutoRedirect = $false
        $request.KeepAlive = $false
        $request.ServicePoint.Expect100Continue = $false
        $request.Timeout = 5000
        $request.ReadWriteTimeout = 5000
        $response = $request.GetResponse()
    } catch {
        $failure = $_.Exception
        while ($null -ne $failure -and $failure -isnot [Net.WebException]) { $failure = $failure.InnerException }
        if ($null -ne $failure) { $response = $failure.Response }
    }
    if ($null -eq $response) { return $answer }
    try {
        $answer.Status = [int] $response.StatusCode
        if ($answer.Status -eq 200) {
            $buffer = New-Object byte[] ${MAX_USER_DATA_BYTES + 1}
            $length = 0
            $stream = $response.GetResponseStream()
            $clock = [Diagnostics.Stopwatch]::StartNew()
            while ($length -lt $buffer.Length -and $clock.Elapsed.TotalSeconds -lt ${BODY_SECONDS}) {
                $count = $stream.Read($buffer, $length, $buffer.Length - $length)
                if ($count -le 0) { break }
                $length += $count
            }
            $answer.Text = $latin1.GetString($buffer, 0, $length)
            if ($length -lt $buffer.Length -and $response.ContentLength -ge 0 -and $response.ContentLength -ne $length) { $answer.Status = 0 }
        }
    } catch {
        $answer.Status = 0
    } finally {
        $response.Close()
    }
    return $answer
}

function Get-UserData {
    $seconds = ${WAIT_SECONDS}
    if ([IO.File]::Exists($applied)) { $seconds = ${WAIT_AGAIN_SECONDS} }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        $what = 'token'
        $answer = Get-Answer 'PUT' '/latest/api/token' 'X-aws-ec2-metadata-token-ttl-seconds' '60'
        if ($answer.Status -eq 200) {
            if ($answer.Text -cnotmatch '\\A[A-Za-z0-9_=+/-]{1,1024}\\z') { throw 'the metadata service gave a token that is none' }
            $what = 'user data'
            $answer = Get-Answer 'GET' '/latest/user-data' 'X-aws-ec2-metadata-token' $answer.Text
            if ($answer.Status -eq 200) { return $answer.Text }
        }
        $why = "the metadata service gave no $what (status $($answer.Status))"
        # A token that has expired, or came damaged, is another the next time.
        if ($answer.Status -ne 0 -and $answer.Status -ne 401 -and $answer.Status -ne 429 -and $answer.Status -lt 500) { throw $why }
        if ($clock.Elapsed.TotalSeconds -ge $seconds) { throw $why }
        Start-Sleep -Seconds 2
    }
}

$addresses = New-Object 'System.Collections.Generic.Dictionary[string,string]'
function Get-Address([string] $address) {
    if ($addresses.ContainsKey($address)) { return $addresses[$address] }
    if ($address -cmatch '\\A198\\.1[89]\\.') { throw "the user data has no address for $address" }
    return $address
}

try {
    $data = Get-UserData
    if ($data.Length -gt ${MAX_USER_DATA_BYTES}) { throw 'the user data is too long' }
    if ($data -cnotmatch '\\A${LAUNCH_DATA}\\z') { throw 'the user data is none of Lifeboat' }
    $lines = $data.Split([char] 10)
    $run = $lines[1].Substring(4)
    # The last line is what follows the last end of a line: nothing.
    for ($index = 2; $index -lt $lines.Length - 1; $index++) {
        $words = $lines[$index].Split([char] 32)
        if ($addresses.ContainsKey($words[1])) { throw "the user data has two addresses for $($words[1])" }
        $addresses.Add($words[1], $words[2])
    }
    if ([IO.File]::Exists($applied)) {
        if ($data.Equals((Read-Text $applied))) {
            Write-Output "lifeboat: launch data of run $run read, nothing has changed"
            exit 0
        }
    }

    # All is filled in before anything is written.
    $environment = New-Object 'System.Collections.Generic.List[string]'
    foreach ($line in [IO.File]::ReadAllLines((Join-Path $directory 'environment'))) {
        $parts = $line.Split([char[]] '=', 2)
        if ($parts[0].Equals('LIFEBOAT_RUN_ID')) {
            $environment.Add('LIFEBOAT_RUN_ID=' + $run)
        } else {
            $environment.Add($parts[0] + '=' + (Get-Address $parts[1]))
        }
    }
    $block = New-Object 'System.Collections.Generic.List[string]'
    $template = Join-Path $directory 'hosts'
    $names = [IO.File]::Exists($template)
    if ($names) {
        foreach ($line in [IO.File]::ReadAllLines($template)) {
            $parts = $line.Split([char[]] ' ', 2)
            $block.Add((Get-Address $parts[0]) + ' ' + $parts[1])
        }
    }

    if ($names) {
        $hosts = Join-Path $env:SystemRoot 'System32\\drivers\\etc\\hosts'
        $old = ''
        if ([IO.File]::Exists($hosts)) { $old = Read-Text $hosts }
        $new = New-Object 'System.Collections.Generic.List[string]'
        $begins = 0
        $ends = 0
        foreach ($line in $old.Split([char] 10)) {
            $plain = $line.TrimEnd([char] 13)
            if ($plain.Equals('${BLOCK_END}') -and $begins -eq 1) { $ends++ }
            if ($begins -eq $ends) { $new.Add($line) }
            if ($plain.Equals('${BLOCK_BEGIN}')) {
                $begins++
                $ending = $line.Substring($plain.Length)
                foreach ($one in $block) { $new.Add($one + $ending) }
            }
        }
        if ($begins -eq 1 -and $ends -eq 1) {
            $text = [string]::Join([string] [char] 10, $new.ToArray())
            if (-not $text.Equals($old)) { Write-Whole $hosts $text }
            & ipconfig.exe /flushdns | Out-Null
        } else {
            Write-Output "lifeboat: the hosts file has no block of Lifeboat's any more and is left alone"
        }
    }
    $text = [string]::Join([string] [char] 13 + [string] [char] 10, $environment.ToArray()) + [char] 13 + [char] 10
    Write-Whole (Join-Path (Split-Path -Parent $directory) 'environment') $text
    Write-Whole $applied $data
    Write-Output "lifeboat: launch data of run $run read"
    exit 0
} catch {
    $why = $_.Exception.Message -creplace '[^ -~]', ' '
    if ($why.Length -gt 300) { $why = $why.Substring(0, 300) }
    if ([IO.File]::Exists($applied)) {
        Write-Output "lifeboat: launch data was not read: $why. What an earlier start was told stays"
        exit 0
    }
    Write-Output "lifeboat: launch data was not read: $why. Names of other machines lead nowhere, and no boot script runs"
    exit 1
}
`;
