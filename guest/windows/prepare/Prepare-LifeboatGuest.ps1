<#
.SYNOPSIS
Prepares a running Windows guest, once, for a failover to AWS by Lifeboat.

.DESCRIPTION
Run as Administrator in the guest at the primary site; run it again for newer drivers. It
 1. says what speaks against a failover, and stops where the guest could not run on EC2;
 2. puts AWS's drivers for network (ENA) and disks (AWSNVMe) into the driver store, from a directory into which you have
    extracted the packages that AWS offers for download (AwsEnaNetworkDriver.zip, AWSNVMe.zip); Lifeboat ships no drivers;
 3. registers a scheduled task that runs at every start of Windows, as SYSTEM, and does nothing unless a failover has put
    boot scripts into C:\ProgramData\Lifeboat.
Nothing of the guest's disks or network is changed. Remove it with -Remove.

.PARAMETER DriverDirectory
Directory with the extracted driver packages, at any depth.

.PARAMETER Remove
Removes the scheduled task and its script. The drivers stay.

.EXAMPLE
.\Prepare-LifeboatGuest.ps1 -DriverDirectory C:\Temp\aws-drivers
#>
param(
    [string] $DriverDirectory = '',
    [switch] $Remove
)

$ErrorActionPreference = 'Stop'
$directory = 'C:\ProgramData\Lifeboat'
$runner = Join-Path $directory 'Start-Lifeboat.ps1'
$task = 'Lifeboat'

function Test-DriverInStore([string] $name) {
    $store = Join-Path $env:SystemRoot 'System32\DriverStore\FileRepository'
    $found = Get-ChildItem -Path $store -Filter "$name.inf_amd64_*" -Directory -ErrorAction SilentlyContinue
    return ($null -ne $found)
}

$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
$principal = New-Object Security.Principal.WindowsPrincipal($identity)
if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'Run this script as Administrator.'
}

if ($Remove) {
    & schtasks.exe /Delete /TN $task /F
    if (Test-Path $runner) { Remove-Item $runner }
    Write-Output 'The scheduled task is removed; the drivers stay.'
    exit 0
}

# 1. What the failover would refuse.
$refusals = @()
$build = [Environment]::OSVersion.Version.Build
if ($build -lt 9600) { $refusals += "Windows build $build has no NVMe driver: 8.1 or Server 2012 R2 (9600) at least." }
if (-not [Environment]::Is64BitOperatingSystem) { $refusals += 'Windows is 32-bit; instances are 64-bit.' }
if (-not (Test-Path (Join-Path $env:SystemRoot 'System32\drivers\stornvme.sys'))) {
    $refusals += 'stornvme.sys, the NVMe driver of Windows, is missing: run "sfc /scannow".'
}
$encrypted = Get-CimInstance -Namespace 'root\cimv2\Security\MicrosoftVolumeEncryption' -ClassName Win32_EncryptableVolume -ErrorAction SilentlyContinue |
    Where-Object { $_.DriveLetter -eq $env:SystemDrive -and $_.ProtectionStatus -ne 0 }
if ($null -ne $encrypted) { $refusals += "BitLocker protects $env:SystemDrive, so it cannot be prepared from outside: run `"manage-bde -off $env:SystemDrive`"." }
if (Test-Path (Join-Path $env:SystemDrive 'hiberfil.sys')) {
    Write-Warning 'Hibernation is on; a hibernated guest, or one shut down with fast startup, is refused. Run "powercfg /hibernate off".'
}

# 2. Drivers.
if ($DriverDirectory -ne '') {
    foreach ($name in @('ena', 'AWSNVMe')) {
        # Packages have one for each version of Windows; pnputil takes those that are signed for x64, and Windows chooses.
        $files = @(Get-ChildItem -Path $DriverDirectory -Recurse -Filter "$name.inf")
        if ($files.Count -eq 0) { Write-Warning "There is no $name.inf in $DriverDirectory." }
        foreach ($file in $files) {
            & pnputil.exe /add-driver $file.FullName
            # 259: nothing to do, as the driver is there already. 3010: a restart completes it.
            if (@(0, 259, 3010) -notcontains $LASTEXITCODE) {
                # Before Windows 10, pnputil has older options.
                & pnputil.exe -a $file.FullName
            }
        }
    }
}
if (-not (Test-DriverInStore 'ena')) {
    $refusals += 'The driver store has no ENA driver: give -DriverDirectory with the package that AWS offers.'
}
if (-not (Test-DriverInStore 'awsnvme')) {
    Write-Warning 'The driver store has no AWSNVMe driver; an instance will use the one of Windows.'
}
if ($refusals.Count -gt 0) {
    foreach ($refusal in $refusals) { Write-Warning $refusal }
    throw 'This guest cannot run on EC2 yet; see the warnings.'
}

# 3. What runs boot scripts. Only Administrators and SYSTEM may write there, as it runs as SYSTEM.
if (-not (Test-Path $directory)) { New-Item -ItemType Directory -Path $directory | Out-Null }
# Somebody else may have made the directory, and be its owner: who owns it can give himself rights again.
& icacls.exe $directory /setowner '*S-1-5-32-544' /T /C /Q | Out-Null
if ($LASTEXITCODE -ne 0) { throw "The owner of $directory cannot be set." }
& icacls.exe $directory /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
if ($LASTEXITCODE -ne 0) { throw "The rights of $directory cannot be set." }
if (Test-Path $runner) { Remove-Item -Path $runner -Force }
Copy-Item -Path (Join-Path $PSScriptRoot 'Start-Lifeboat.ps1') -Destination $runner
$action = "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $runner"
& schtasks.exe /Create /F /TN $task /SC ONSTART /RU SYSTEM /RL HIGHEST /TR $action
if ($LASTEXITCODE -ne 0) { throw 'The scheduled task cannot be registered.' }
Write-Output 'The guest is prepared. Back it up, and make a test failover.'
