"""Luthier's training runtime on PyTorch. See docs/reference/runtime-contract.md."""

NAME = "runtime-torch"
VERSION = "0.1.0"
