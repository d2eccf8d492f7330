"""In a process of its own: what is said to the C library holds until the process ends."""

import subprocess
import sys
from pathlib import Path

import pytest

# Once a block of almost 32 MiB was freed, glibc takes all smaller ones from its heap, where small ones lie between.
KEPT_MIB = """
import sys
from runtime_torch.devices.host_memory import give_back_large_blocks

def anonymous_mib():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024

if sys.argv[1] == "told":
    give_back_large_blocks()
before = anonymous_mib()
bytearray(b"x") * (31 << 20)
small, large = [], []
for _ in range(40):
    large.append(bytearray(b"x") * (8 << 20))
    small.append(bytearray(b"x") * (64 << 10))
del large
print(anonymous_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_that_large_tensors_have_left_goes_back_to_the_system():
    def kept_mib(how: str) -> int:
        command = [sys.executable, "-c", KEPT_MIB, how]
        return int(subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True).stdout)

    assert kept_mib("told") < 16
    assert kept_mib("not told") > 160
