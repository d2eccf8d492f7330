"""Which device is chosen, and how it is said what was lacking: by shape, as this needs no GPU."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Workshop, open_run
from device_speed import measure
from test_train import LONG, losses

from runtime_torch.devices.device import Device, Gpu, choose_gpu, wanted_device
from runtime_torch.devices.device_memory import device_use, plannable_mib
from runtime_torch.devices.loss_scale import LossScale
from runtime_torch.devices.memory_plan import Room, plan_memory
from runtime_torch.fault import Fault, fault_of
from runtime_torch.models.model_config import ModelConfig
from runtime_torch.processes.group import Group
from runtime_torch.processes.place import Place

OLD, NEW = Gpu("V100", 16_384, bfloat16=False), Gpu("H100", 81_559, bfloat16=True)
SECOND = Place(rank=5, size=8, local_rank=1, local_size=4)
HOST = {"memoryMib": 32_768, "cpu": 4, "deadlineSeconds": 60}
EIGHT_BILLION = ModelConfig(
    architectures=["LlamaForCausalLM"],
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
)


@pytest.mark.parametrize(
    ("choice", "devices", "wanted"),
    [(None, 0, "cpu"), (None, 2, "cuda"), ("auto", 1, "cuda"), ("cpu", 2, "cpu"), ("cuda", 0, "cuda")],
)
def test_gpus_are_wanted_where_the_run_was_given_some_or_it_is_said(
    workshop: Workshop, choice: str | None, devices: int, wanted: str
):
    spec = workshop.spec(parallelism={"nodes": 1, "devicesPerNode": devices})
    assert wanted_device({"LUTHIER_TORCH_DEVICE": choice} if choice else {}, spec) == wanted


def test_an_unknown_choice_and_float16_on_a_processor_are_refused(workshop: Workshop):
    with pytest.raises(Fault, match='"tpu" is not one of auto, cpu, cuda') as raised:
        wanted_device({"LUTHIER_TORCH_DEVICE": "tpu"}, workshop.spec())
    assert raised.value.exit_status == 41
    with pytest.raises(Fault, match="float16 is for GPUs"):
        wanted_device({}, workshop.spec(precision="float16"))


def test_each_process_takes_the_gpu_of_its_number_on_the_node():
    device = choose_gpu(SECOND, "bfloat16", [OLD, NEW])
    assert (device.torch_name, device.name) == ("cuda:1", "H100")
    assert device.reason == "GPU 1 of 2, for process 1 of its node"


@pytest.mark.parametrize(
    ("gpus", "precision", "said"),
    [
        ([], None, "the run was given GPUs and cannot use any: the driver is too old"),
        ([NEW], None, "process 1 of 4 finds no GPU of its own among 1"),
        ([NEW, OLD], "bfloat16", "V100 has no instructions for bfloat16; take float32 or float16"),
    ],
)
def test_what_a_device_cannot_do_is_refused_with_the_reason(gpus: list[Gpu], precision: str | None, said: str):
    with pytest.raises(Fault, match=said) as raised:
        choose_gpu(SECOND, precision, gpus, "the driver is too old")
    assert raised.value.exit_status == 41


def test_exhausted_memory_is_said_with_what_was_needed_allocated_and_free():
    said = (
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.20 GiB is "
        "free. Including non-PyTorch memory, this process has 77.90 GiB memory in use. Of the allocated memory "
        "76.30 GiB is allocated by PyTorch, and 512.00 MiB is reserved by PyTorch but unallocated."
    )
    fault = fault_of(torch.OutOfMemoryError(said), "runtime.crashed")
    assert (fault.code, fault.exit_status) == ("device.out-of-memory", 42)
    assert str(fault) == (
        "The GPU has no room for 2.50 GiB more: the run has 76.30 GiB allocated, of 79.11 GiB are 1.20 GiB free."
    )
    assert device_use(Device()) == {}


def test_a_run_is_planned_with_what_is_free_on_its_gpu_or_with_the_less_that_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
):
    total = 80_000 * 1024 * 1024

    def free_and_total(_: object) -> tuple[int, int]:
        return total // 2, total

    monkeypatch.setattr(torch.cuda, "mem_get_info", free_and_total)
    gpu = Device("cuda")
    assert plannable_mib(gpu) == plannable_mib(gpu, 60_000) == 36_800
    assert plannable_mib(gpu, 20_000) == 18_400


def test_a_model_is_sharded_where_all_of_it_is_trained_and_where_it_does_not_fit(workshop: Workshop):
    lora = workshop.spec(precision="bfloat16", limits=HOST)
    full = workshop.spec(precision="bfloat16", limits=HOST, tuning={"type": "full"})
    roomy, narrow = Room(75_000, 8, on_gpu=True), Room(14_000, 8, on_gpu=True)
    assert not plan_memory(lora, EIGHT_BILLION, 2048, roomy).sharded
    assert plan_memory(lora, EIGHT_BILLION, 2048, narrow).sharded
    assert plan_memory(full, EIGHT_BILLION, 2048, roomy).sharded
    with pytest.raises(Fault, match="wholeLayers") as raised:
        plan_memory(full, EIGHT_BILLION, 2048, replace(narrow, mib=5_000))
    assert raised.value.exit_status == 42


def test_a_machine_whose_memory_the_weights_do_not_pass_through_is_refused(workshop: Workshop):
    spec = workshop.spec(precision="bfloat16", limits={**HOST, "memoryMib": 4096})
    with pytest.raises(Fault, match=r"weights 15317, runtime \d+\) and may take 4096 MiB"):
        plan_memory(spec, EIGHT_BILLION, 2048, Room(75_000, on_gpu=True))


def test_a_gpu_takes_as_many_tokens_at_a_time_as_fit(workshop: Workshop):
    spec = workshop.spec(precision="bfloat16", limits=HOST)
    budgets = [plan_memory(spec, EIGHT_BILLION, 300, Room(mib, on_gpu=True)).token_budget for mib in (24_000, 75_000)]
    assert budgets[0] < budgets[1]
    assert plan_memory(spec, EIGHT_BILLION, 300, Room(75_000)).token_budget == 512


def test_a_step_whose_gradients_overflow_in_float16_is_made_again_with_half_the_scale(workshop: Workshop):
    """On a processor, where the command would refuse it."""
    exact, halves = workshop.spec(hyperparameters=LONG), workshop.spec(hyperparameters=LONG, precision="float16")
    open_run(exact).run()
    run = open_run(halves)
    run.stepper.scale = LossScale(value=2.0**24)
    run.run()
    assert run.stepper.scale.value < 2.0**24
    assert losses(halves) == pytest.approx(losses(exact), rel=0.01)
    newest = max((Path(halves.output_dir) / "checkpoints").iterdir())
    stored = json.loads((newest / "trainer_state.json").read_text())["lossScale"]
    assert LossScale.model_validate(stored) == run.stepper.scale


def test_a_scale_rises_again_after_a_long_time_without_overflow():
    scale = LossScale(value=8)
    for _ in range(2000):
        scale = scale.after_step()
    assert scale == LossScale(value=16)
    assert not LossScale(value=1).can_fall


def test_a_speed_is_measured_beside_what_was_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Tiny, and on a processor: what `scripts/check-gpu.sh` does on a GPU."""
    monkeypatch.setenv("LUTHIER_TORCH_DEVICE", "cpu")
    speed = measure(tmp_path, "cpu", "float32", {}, row_tokens=16)
    assert speed.tokens_per_second > 0
    assert speed.peak_mib > 100
    assert speed.planned_mib > 700
    assert re.fullmatch(r"\d+ tokens/s, \d+ MiB at most, \d+ planned", str(speed))


def test_a_group_knows_its_device_by_pytorchs_name():
    assert Group(device=Device("cuda", 3, "H100")).torch_device == torch.device("cuda", 3)
