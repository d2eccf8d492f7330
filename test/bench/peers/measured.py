"""`measured.py RECORD PROGRAM ARGUMENTS...`: runs a program and leaves what it took of the machine, with its children."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

record, *command = sys.argv[1:]
started = time.monotonic()
ended = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
taken = {
    "seconds": time.monotonic() - started,
    "cpuSeconds": used.ru_utime + used.ru_stime,
    "peakMemoryMib": used.ru_maxrss / 1024,
}
Path(record).write_text(json.dumps(taken))
sys.exit(ended.returncode)
