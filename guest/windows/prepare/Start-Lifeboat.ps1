<#
.SYNOPSIS
Runs the boot scripts of one failover, each once, in order. A scheduled task starts it whenever Windows starts.

.DESCRIPTION
A failover writes C:\ProgramData\Lifeboat\run-id, and beside it a directory of that name with "environment" (lines
NAME=value) and "scripts". A script that the machine was switched off in has no status, and runs again. What happens goes to
COM1, which the instance's console output shows, and to lifeboat.log.

A guest that was prepared before the failover (a launch copy) also has "launch" there, with a script that learns the run and the addresses
of other machines from the instance's user data, and puts them into "environment" and the hosts file. Without them nothing runs.
#>
# Lifeboat runner: 2
$ErrorActionPreference = 'Stop'
$directory = 'C:\ProgramData\Lifeboat'
$idFile = Join-Path $directory 'run-id'
if (-not (Test-Path $idFile)) { exit 0 }

# Files that were put here while Windows was off have no rights of their own yet: they get the directory's.
& icacls.exe "$directory\*" /reset /T /C /Q | Out-Null

function Write-Console([string] $line) {
    Add-Content -Path (Join-Path $directory 'lifeboat.log') -Value "$(Get-Date -Format o) $line"
    try {
        $port = New-Object System.IO.Ports.SerialPort('COM1', 115200)
        $port.WriteTimeout = 5000
        $port.Open()
        # Whatever stands there already, this is a line of its own.
        $port.Write("`r`n$line`r`n")
        $port.Close()
    } catch {
        # Without a serial port, or with another program at it, the log has the line.
        Add-Content -Path (Join-Path $directory 'lifeboat.log') -Value "COM1: $($_.Exception.Message)"
    }
}

$run = (Get-Content -Path $idFile -TotalCount 1).Trim()
if ($run -notmatch '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$') { exit 1 }
$runDirectory = Join-Path $directory $run
$scripts = Join-Path $runDirectory 'scripts'
$status = Join-Path $runDirectory 'status'

$reader = Join-Path $runDirectory 'launch\Read-LaunchData.ps1'
if (Test-Path $reader) {
    $ErrorActionPreference = 'Continue'
    $said = @(& powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $reader 2> $null)
    $code = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    if ($said.Count -eq 0) { $said = @("lifeboat: launch data was not read: its reader ended with $code and said nothing") }
    foreach ($line in $said) { Write-Console $line }
    if ($code -ne 0) { exit 1 }
}
$environment = Join-Path $runDirectory 'environment'
if (Test-Path $environment) {
    foreach ($line in @(Get-Content -Path $environment)) {
        $parts = $line.Split([char[]]'=', 2)
        if ($parts.Count -eq 2) { [Environment]::SetEnvironmentVariable($parts[0], $parts[1], 'Process') }
    }
    # The directory of a launch copy was named before there was a run.
    if ($env:LIFEBOAT_RUN_ID -match '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$') { $run = $env:LIFEBOAT_RUN_ID }
}
Write-Console "lifeboat: Windows has started, run $run"
if (-not (Test-Path $scripts)) { exit 0 }
if (-not (Test-Path $status)) { New-Item -ItemType Directory -Path $status | Out-Null }

foreach ($script in @(Get-ChildItem -Path $scripts | Sort-Object Name)) {
    $done = Join-Path $status $script.Name
    $name = $script.Name -replace '^[0-9][0-9]-', ''
    if (Test-Path $done) {
        # Each start tells the statuses anew.
        $code = (Get-Content -Path $done -TotalCount 1).Trim()
        Write-Console "lifeboat: boot script $name of run $run exit status $code"
        continue
    }
    Write-Console "lifeboat: boot script $name of run $run begins"
    $output = Join-Path $runDirectory "$($script.Name).log"
    $ErrorActionPreference = 'Continue'
    if ($script.Extension -eq '.ps1') {
        & powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $script.FullName *> $output
    } else {
        & cmd.exe /d /c $script.FullName *> $output
    }
    $code = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    Set-Content -Path $done -Value $code
    Write-Console "lifeboat: boot script $name of run $run exit status $code"
}
exit 0
