"""Entry of the runtime: `python main.py capabilities | (train | rehearse | score) <spec.json>`."""

import os
import sys

sys.dont_write_bytecode = True  # the runtime writes below its output folder only
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from runtime_torch.command import run_command  # noqa: E402
from runtime_torch.devices.host_memory import give_back_large_blocks  # noqa: E402
from runtime_torch.processes.place import place_of_rank  # noqa: E402
from runtime_torch.runs.run_control import end_with_launcher, end_with_parent  # noqa: E402

give_back_large_blocks()
# SIGTERM keeps its default effect: leave at once, saving nothing.
end_with_parent()
if place_of_rank(os.environ):
    end_with_launcher()
status = run_command(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # thread pools of the libraries would take seconds to end in order
