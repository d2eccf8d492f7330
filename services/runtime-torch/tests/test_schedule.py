import pytest
from conftest import Workshop

from runtime_torch.runs.schedule import learning_rate_at, total_steps


@pytest.mark.parametrize(
    ("schedule", "step", "expected"), [("cosine", 55, 0.5), ("linear", 55, 0.5), ("constant", 55, 1)]
)
def test_rises_over_the_warm_up_and_then_follows_its_curve(
    workshop: Workshop, schedule: str, step: int, expected: float
):
    settings = {"schedule": schedule, "learningRate": 1, "warmupRatio": 0.1}
    hyperparameters = workshop.spec(hyperparameters=settings).hyperparameters
    assert learning_rate_at(0, 100, hyperparameters) == 0
    assert learning_rate_at(5, 100, hyperparameters) == pytest.approx(0.5)
    assert learning_rate_at(10, 100, hyperparameters) == 1
    assert learning_rate_at(step, 100, hyperparameters) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("epochs", "max_steps", "expected"), [(2, None, 14), (0.5, None, 4), (1.5, None, 11), (2, 3, 3), (0.01, None, 1)]
)
def test_steps_round_a_half_up_and_are_at_least_one(
    workshop: Workshop, epochs: float, max_steps: int | None, expected: int
):
    settings = {"epochs": epochs, "maxSteps": max_steps, "globalBatch": 5}
    assert total_steps(33, workshop.spec(hyperparameters=settings).hyperparameters) == expected
