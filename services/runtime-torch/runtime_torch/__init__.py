"""Luthier's training runtime on PyTorch. See docs/reference/runtime-contract.md."""

from logging import ERROR, getLogger

NAME = "runtime-torch"
VERSION = "0.1.0"

# They miss compilers and kernels from elsewhere that nothing here would use, and say so at import, by whomever.
for name in ("torch.utils.flop_counter", "bitsandbytes.backends.cpu.ops"):
    getLogger(name).setLevel(ERROR)
