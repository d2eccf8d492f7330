import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Workshop, open_run
from processes import disturb, in_ranks
from test_train import losses

from runtime_torch.data.prepared_dataset import Row, Unit
from runtime_torch.fault import Fault
from runtime_torch.processes.group import Group
from runtime_torch.processes.place import Place
from runtime_torch.spec import RuntimeSpec

LONG = {"epochs": 3, "evaluationSteps": 2}


def train(spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    return open_run(spec, group).run()


def meet_after(signal_number: int, looks: int, spec: RuntimeSpec, group: Group) -> None:
    run = open_run(spec, group)
    disturb(run, signal_number, looks)
    run.run()


def files(spec: RuntimeSpec) -> list[str]:
    return sorted(path.name for path in Path(spec.output_dir).iterdir())


def text_of(spec: RuntimeSpec, name: str) -> str:
    return (Path(spec.output_dir) / name).read_text()


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_give_the_losses_and_scores_of_a_single_process(workshop: Workshop, size: int):
    alone, together = workshop.spec(hyperparameters=LONG), workshop.spec(hyperparameters=LONG)
    expected = train(alone, Group())
    ends = in_ranks([partial(train, together)] * size)
    assert [how for how, _ in ends] == ["done"] * size
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    result = ends[0][1]
    for which in ("base", "tuned"):
        assert result[which]["trainedTokens"] == expected[which]["trainedTokens"]
        assert result[which]["loss"] == pytest.approx(expected[which]["loss"], abs=1e-4)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_ranks_learn_from_comparisons_as_a_single_process_does(workshop: Workshop, method: str):
    """References and the KL of KTO are measured in shares; the last batch has fewer units than there are ranks."""
    settings = {
        "dpo": {"type": "dpo", "loss": "sigmoid", "beta": 0.1, "labelSmoothing": 0},
        "kto": {"type": "kto", "beta": 0.1, "desirableWeight": 1, "undesirableWeight": 1},
    }
    data = workshop.pairs if method == "dpo" else workshop.rated
    alone, together = (workshop.spec(method=settings[method], data=data, hyperparameters=LONG) for _ in range(2))
    expected = train(alone, Group())
    ends = in_ranks([partial(train, together)] * 3)
    assert [how for how, _ in ends] == ["done"] * 3
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    for which in ("base", "tuned"):
        assert ends[0][1][which]["metrics"] == pytest.approx(expected[which]["metrics"], abs=1e-4)


def test_rank_0_says_and_writes_what_a_run_has_one_of(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG)
    in_ranks([partial(train, spec)] * 2)
    assert files(spec) == ["adapter", "checkpoints", "events.0.jsonl", "events.1.jsonl"]
    # Of a step that takes long each says that it lives.
    assert all('"heartbeat"' in line for line in text_of(spec, "events.1.jsonl").splitlines())
    assert '"checkpoint"' in text_of(spec, "events.0.jsonl")


def test_ranks_with_dropout_drop_the_same_each_time(workshop: Workshop):
    lora = {"type": "lora", "r": 4, "loraAlpha": 8, "loraDropout": 0.3, "targetModules": "all-linear"}
    first, second = (workshop.spec(tuning={**lora, "useRslora": False}) for _ in range(2))
    for spec in (first, second):
        in_ranks([partial(train, spec)] * 2)
    assert losses(first) == losses(second)


@pytest.mark.parametrize("sizes", [(2, 1), (1, 2), (2, 3)])
def test_a_stop_that_one_rank_sees_ends_all_before_the_same_step_and_any_number_of_ranks_goes_on(
    workshop: Workshop, sizes: tuple[int, int]
):
    whole, stopped = workshop.spec(hyperparameters=LONG), workshop.spec(hyperparameters=LONG)
    train(whole, Group())
    before, after = sizes
    last_to_see = partial(meet_after, 0, 3, stopped)
    assert in_ranks([*[partial(train, stopped)] * (before - 1), last_to_see]) == [("stopped", None)] * before
    checkpoint = max((Path(stopped.output_dir) / "checkpoints").iterdir())
    resumed = workshop.spec(hyperparameters=LONG, resumeFrom=str(checkpoint))
    assert [how for how, _ in in_ranks([partial(train, resumed)] * after)] == ["done"] * after
    assert 0 < len(losses(stopped)) < len(losses(whole))
    np.testing.assert_allclose(losses(stopped) + losses(resumed), losses(whole), atol=1e-4)


def test_a_rank_that_never_comes_is_named():
    assert in_ranks([Group.leave], size=2) == [
        ("collective.failed", "Of 2 ranks rank 1 did not come within 3 s."),
    ]


def test_a_rank_that_is_killed_is_missed_at_once_and_named(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG)
    survivor, killed = in_ranks([partial(train, spec), partial(meet_after, signal.SIGKILL, 2, spec)])
    assert killed == ("exit", -signal.SIGKILL)
    assert survivor[0] == "collective.failed"
    assert survivor[1].startswith("The ranks lost each other at step ")
    assert survivor[1].endswith("; rank 1 was missing.")


def test_a_rank_that_hangs_is_waited_for_so_long_and_named(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG)
    hanging = partial(meet_after, signal.SIGSTOP, 2, spec)
    waiting = in_ranks([partial(train, spec), hanging], collective_s=2, hanging=1)[0]
    assert waiting[0] == "collective.failed"
    assert waiting[1].startswith("Waited 2 s for rank 1 at step ")
    assert Fault("collective.failed", "").exit_status == 51


def test_units_are_dealt_out_evenly_and_completely():
    lengths = [9, 1, 5, 5, 4, 2, 8]
    units = [unit_of(index, length) for index, length in enumerate(lengths)]
    shares = Group(Place(0, 3, 0, 3)).shares_of(units)
    assert sorted(unit.index for share in shares for unit in share) == list(range(7))
    assert [sum(unit.length for unit in share) for share in shares] == [11, 12, 11]


def unit_of(index: int, length: int) -> Unit:
    return Unit(index, (Row(np.zeros(length, np.int32), np.zeros(length, np.uint8), "", 0, True),))
