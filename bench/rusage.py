"""Runs a program and says what it took: `rusage.py REPORT PROGRAM ARGUMENT…` writes JSON to the file REPORT.

Node cannot ask the kernel what a child of another make has used; wait4 tells it of every program alike: seconds from
its start to its end, seconds of CPU of all its threads and of the children that it waited for, and the most memory
that was resident, in KiB."""
import json
import os
import sys
import time

report, *command = sys.argv[1:]
began = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
with open(report, "w") as file:
    json.dump(
        {
            "wallSeconds": time.monotonic() - began,
            "cpuSeconds": usage.ru_utime + usage.ru_stime,
            "maxRssKiB": usage.ru_maxrss,
            "exitCode": os.waitstatus_to_exitcode(status),
        },
        file,
    )
