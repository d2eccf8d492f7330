"""
`measured.py RECORD LIMIT_S PROGRAM ARGUMENTS...`: runs a program and leaves what it took of the machine, with its children.
Ends with 124 when it took longer than the limit.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

record, limit_s, *command = sys.argv[1:]
started = time.monotonic()
try:
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=float(limit_s)).returncode
except subprocess.TimeoutExpired:
    status = 124
used = resource.getrusage(resource.RUSAGE_CHILDREN)
taken = {
    "seconds": time.monotonic() - started,
    "cpuSeconds": used.ru_utime + used.ru_stime,
    "peakMemoryMib": used.ru_maxrss / 1024,
}
Path(record).write_text(json.dumps(taken))
sys.exit(status)
