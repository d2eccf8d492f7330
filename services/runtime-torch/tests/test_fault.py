import errno

import pytest
import torch

from runtime_torch.fault import Fault, blaming, fault_of


@pytest.mark.parametrize(
    ("thrown", "code", "status"),
    [
        (OSError(errno.ENOSPC, "no room"), "disk.full", 45),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk.full", 45),
        (torch.OutOfMemoryError("CUDA out of memory"), "device.out-of-memory", 42),
        (MemoryError(), "device.out-of-memory", 42),
        (ValueError("out of memory lane"), "runtime.crashed", 1),
        (Fault("data.bad", "as said"), "data.bad", 40),
    ],
)
def test_what_was_thrown_is_recognised(thrown: Exception, code: str, status: int):
    fault = fault_of(thrown, "runtime.crashed")
    assert (fault.code, fault.exit_status) == (code, status)
    assert fault.hint


def test_exhausted_memory_is_recognised_as_the_allocator_says_it():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert fault_of(raised.value, "runtime.crashed").code == "device.out-of-memory"


def test_a_fault_keeps_its_code_and_anything_else_gets_the_one_that_is_blamed():
    with pytest.raises(Fault) as raised, blaming("model.unreadable"):
        raise KeyError("x")
    assert raised.value.code == "model.unreadable"
    with pytest.raises(Fault) as raised, blaming("model.unreadable"):
        raise Fault("config.bad", "y")
    assert raised.value.code == "config.bad"
