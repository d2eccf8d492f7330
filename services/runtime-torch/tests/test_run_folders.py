import shutil
from pathlib import Path

import pytest
from conftest import Workshop

from runtime_torch.runs.run_folders import remove_old_checkpoints
from runtime_torch.spec import RuntimeSpec


def write_checkpoints(spec: RuntimeSpec, *steps: int) -> Path:
    parent = Path(spec.output_dir) / "checkpoints"
    for step in steps:
        (parent / f"step-{step:06d}").mkdir(parents=True)
        (parent / f"step-{step:06d}" / "trainer_state.json").write_text("{}")
    return parent


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_checkpoints_are_kept(workshop: Workshop):
    spec = workshop.spec()
    parent = write_checkpoints(spec, 2, 4, 6, 8)
    remove_old_checkpoints(spec)
    assert names(parent) == ["step-000006", "step-000008"]


def test_a_checkpoint_that_the_runner_removes_at_the_same_time_is_no_fault(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    spec = workshop.spec()
    parent = write_checkpoints(spec, 2, 4, 6, 8)
    remove = shutil.rmtree

    def remove_after_the_runner(folder: Path) -> None:
        remove(folder)
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", remove_after_the_runner)
    remove_old_checkpoints(spec)
    assert names(parent) == ["step-000006", "step-000008"]
