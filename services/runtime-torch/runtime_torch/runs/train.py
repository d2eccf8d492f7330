"""`train`: one run from its spec to its result."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil

from ..data.global_batches import TrainingBatches
from ..devices.device_memory import device_use
from ..devices.loss_scale import LossScale
from ..devices.memory_plan import MemoryPlan
from ..fault import blaming
from ..methods.objective import Surroundings
from ..methods.open_objective import objective_of
from ..models.model import spend_memory
from ..models.open_model import open_tuning
from ..processes.group import Group
from ..spec import RuntimeSpec
from ..tunings.embedding_noise import EmbeddingNoise
from .ahead import Ahead
from .checkpoint import Copied, begin_checkpoint, restore
from .events_file import EventsFile
from .open_run import Inputs
from .optimiser import optimiser_of
from .run_control import StopRequested, raise_if_stopped, take_checkpoint_request
from .run_folders import write_folder
from .saver import Saver
from .train_step import StepData, StepOutcome, Stepper
from .trainer_state import Score

_MIB = 1024 * 1024
# Of a score, what an evaluation says beside the method's own metrics.
_MEASURES = ("loss", "tokenAccuracy", "perplexity")


class TrainRun:
    """`step` is the last finished optimiser step."""

    def __init__(self, spec: RuntimeSpec, inputs: Inputs, plan: MemoryPlan, events: EventsFile, group: Group) -> None:
        assert inputs.train is not None, "a spec without data is refused when its inputs are opened"
        self.spec = spec
        self.events = events
        self.group = group
        self.plan = plan
        self.held_out = inputs.held_out
        self.state = inputs.state
        self._saved_step = -1
        self.tuning, self.model = open_tuning(spec, inputs, plan, group)
        spend_memory(self.tuning.model, self.plan.memory_mode)
        if spec.hyperparameters.neftune_noise_alpha:
            self.model.noise = EmbeddingNoise(spec.seed, spec.hyperparameters.neftune_noise_alpha)
        self.optimiser = optimiser_of(spec, self.tuning.trained, group)
        self.batches = TrainingBatches(spec, inputs.train)
        budget = self.plan.token_budget
        around = Surroundings(spec, self.model, budget, group, self._between, self.tuning.reference)
        self.objective = objective_of(around, inputs, self.batches)
        if spec.resume_from:
            with blaming("model.unreadable"):
                restore(Path(spec.resume_from), self.tuning, self.optimiser, self.state)
                self.objective.load(Path(spec.resume_from))
        self.stepper = Stepper(
            spec, self.tuning, self.optimiser, self.batches, self.objective, budget, group, self._between
        )
        self.saver = Saver(self._begin_checkpoint, events, group, beside=self.plan.saves_beside)
        if spec.precision == "float16":
            self.stepper.scale = self.state.loss_scale or LossScale()

    @property
    def step(self) -> int:
        return self.state.step

    def run(self) -> dict[str, Any]:
        """Trains to the end. Raises StopRequested after saving the last complete step when asked to stop."""
        with self.group.meeting("the run"):  # for what they say to each other outside of any other meeting
            return self._run()

    def _run(self) -> dict[str, Any]:
        try:
            self._look_at_base()
            self._train_steps()
            self._save_artifact()
            if self._saved_step != self.step:
                self._save_checkpoint()
            result = self._result(self._score_tuned())
            self.saver.finish()
        except StopRequested:
            if self._saved_step != self.step:
                self._save_checkpoint()
            self.saver.finish()
            self.group.leave()
            raise
        except Exception:
            self.saver.salvage()
            raise
        self.group.leave()
        return result

    def _look_at_base(self) -> None:
        """Before step 0; what is found travels with the checkpoints."""
        if self.step > 0 or self.state.base is not None:
            return
        self.events.write("phase", phase="scoring-base")
        self.objective.prepare()
        if self.held_out is None:
            return
        # What it goes on from is what it will be compared with.
        with nullcontext() if self.spec.adapter_dir else self.tuning.base_only():
            base = self.objective.score(self.held_out)
        self.state = self.state.model_copy(update={"base": base})

    def _score_tuned(self) -> Score | None:
        if self.held_out is None:
            return None
        self.events.write("phase", phase="scoring-tuned")
        return self.objective.score(self.held_out)

    def _between(self) -> None:
        self.events.heartbeat(self.step)
        self.saver.look()
        raise_if_stopped(self.spec.output_dir)

    def _train_steps(self) -> None:
        self.events.write("phase", phase="training")
        with Ahead(self.stepper.data_of, self.batches.total_steps, self.group.device) as ahead:
            while self.step < self.batches.total_steps:
                self._train_step(ahead)

    def _train_step(self, ahead: Ahead[StepData]) -> None:
        start = time.perf_counter()
        if self.model.noise:
            self.model.noise.step = self.step
        outcome = self.stepper.run(self.step, ahead.take(self.step))
        self._finish_step(outcome, (time.perf_counter() - start) * 1000)
        # Saved before it is evaluated, so that a stop during evaluation loses no step.
        due = self.step % self.spec.checkpointing.every_steps == 0
        wanted = self.group.leads and take_checkpoint_request(self.spec.output_dir)
        if self.group.any("a checkpoint", wanted or due):
            self._save_checkpoint()
        every = self.spec.hyperparameters.evaluation_steps
        if every is not None and self.step % every == 0 and self.step < self.batches.total_steps:
            self._evaluate()

    def _finish_step(self, outcome: StepOutcome, step_ms: float) -> None:
        before = self.state
        self.state = before.model_copy(
            update={
                "step": before.step + 1,
                "tokens": before.tokens + outcome.tokens,
                "trained_tokens": before.trained_tokens + outcome.trained_tokens,
                "training_ms": before.training_ms + step_ms,
                "first_loss": outcome.loss if before.first_loss is None else before.first_loss,
                "last_loss": outcome.loss,
                "loss_scale": self.stepper.scale,
            }
        )
        self.events.write(
            "step",
            step=self.step,
            totalSteps=self.batches.total_steps,
            epoch=self.step / self.batches.steps_per_epoch,
            loss=outcome.loss,
            learningRate=outcome.learning_rate,
            gradNorm=outcome.grad_norm,
            tokens=outcome.tokens,
            trainedTokens=outcome.trained_tokens,
            stepMs=step_ms,
            memory={"hostMib": psutil.Process().memory_info().rss / _MIB, **device_use(self.group.device)},
            metrics={"tokensPerSecond": outcome.tokens * 1000 / step_ms, **outcome.metrics},
        )

    def _evaluate(self) -> None:
        if self.held_out is None:
            return
        score = self.objective.score(self.held_out)
        self.events.write(
            "evaluation",
            step=self.step,
            **{name: found for name, found in score.as_json().items() if name in _MEASURES},
            metrics={f"evaluation{name[0].upper()}{name[1:]}": value for name, value in score.metrics.items()},
        )

    def _save_checkpoint(self) -> None:
        self._saved_step = self.step
        self.saver.save(self.step)

    def _begin_checkpoint(self, group: Group, copied: Copied) -> Callable[[], str]:
        return begin_checkpoint(self.spec, self.tuning, self.objective, self.optimiser, self.state, group, copied)

    def _save_artifact(self) -> None:
        self.events.write("phase", phase="saving")
        with self.group.meeting("the saving"):
            if self.group.leads:
                write_folder(Path(self.spec.output_dir) / self.tuning.artifact_dir, self.tuning.save)
            elif self.group.sharded:
                self.tuning.save(None)

    def _result(self, tuned: Score | None) -> dict[str, Any]:
        state = self.state
        scores = {"base": state.base, "tuned": tuned}
        return {
            "mode": "train",
            "steps": state.step,
            "firstLoss": state.first_loss or 0.0,
            "lastLoss": state.last_loss or 0.0,
            "trainedTokens": state.trained_tokens,
            "tokens": state.tokens,
            "tokensPerSecond": state.tokens * 1000 / max(1.0, state.training_ms),
            "peakMemoryMib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "memoryMode": self.plan.memory_mode,
            "artifactDir": self.tuning.artifact_dir,
            **{name: found.as_json() for name, found in scores.items() if found},
        }
