"""Luthier's training runtime on PyTorch. See docs/reference/runtime-contract.md."""

import os

# Threads that wait for each other go to sleep. OpenMP's way, to spin, makes a run several times slower on a machine
# that does anything else; it is read when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

NAME = "runtime-torch"
VERSION = "0.1.0"
