"""LLaMA-Factory behind the contract of a runtime: `python main.py capabilities | train <spec.json>`. See README.md."""

from __future__ import annotations

import ast
import json
import math
import os
import queue
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from translate import refuse_what_has_no_equal, rows_of_run, settings_of  # noqa: E402

from runtime_torch.data.global_batches import TrainingBatches  # noqa: E402
from runtime_torch.fault import EXIT_BAD_CONFIGURATION, EXIT_DONE, EXIT_SAVED_AND_LEFT, Fault, fault_of  # noqa: E402
from runtime_torch.models.model_config import ARCHITECTURES  # noqa: E402
from runtime_torch.runs.events_file import EventsFile  # noqa: E402
from runtime_torch.runs.open_run import open_inputs  # noqa: E402
from runtime_torch.runs.run_control import StopRequested, end_with_launcher, end_with_parent, raise_if_stopped  # noqa: E402
from runtime_torch.runs.run_folders import checkpoint_dir, remove_old_checkpoints, write_folder  # noqa: E402
from runtime_torch.spec import RuntimeSpec, read_spec  # noqa: E402

_TRIED_WITH = "0.9.5"
_BEGIN = "***** Running training *****"
_LOGGED = re.compile(r"\{'loss': [^}]*\}")
_LOOK_S = 1.0
_LINES_KEPT = 30
_NO_SCORES = "LLaMA-Factory scores no prepared rows: the result has no scores, and the model stays unproven."
_ADAPTER = ("adapter_model.safetensors", "adapter_config.json")


def factory() -> str | None:
    """The program beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("llamafactory-cli")
    return str(beside) if beside.exists() else shutil.which("llamafactory-cli")


def capabilities() -> dict[str, object]:
    missing = {} if factory() else {"reason": "llamafactory-cli is not there"}
    return {
        "runtime": "llama-factory",
        "version": _TRIED_WITH,
        "modes": ["train"],
        "architectures": list(ARCHITECTURES),
        "methods": ["supervised", "pretrain"],
        "tunings": ["lora"],
        "precisions": ["float32", "bfloat16"],
        "engines": [{"name": "llama-factory", "usable": not missing, **missing}],
    }


class Run:
    def __init__(self, spec: RuntimeSpec, events: EventsFile) -> None:
        refuse_what_has_no_equal(spec)
        train = open_inputs(spec.model_copy(update={"resume_from": None})).train  # a checkpoint is not ours to read
        assert train is not None, "a spec without data is refused when its inputs are opened"
        self._spec, self._events = spec, events
        self._output = Path(spec.output_dir)
        self._work, self._out = (self._output / name for name in ("llama-factory", "llama-factory/out"))
        self._batches = TrainingBatches(spec, train)
        self.step = _step_in(Path(spec.resume_from)) if spec.resume_from else 0
        self._steps: list[dict[str, float]] = []
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)
        self._begin = time.monotonic()

    def train(self) -> dict[str, Any]:
        device = "cuda" if self._spec.parallelism.devices_per_node else f"cpu, {self._spec.limits.cpu} threads"
        self._events.write("started", resumeStep=self.step, worldSize=1, device=device)
        self._events.write("phase", phase="loading")
        if self._spec.data.held_out_dir:
            self._events.write("warning", code="scores.missing", message=_NO_SCORES)
        process = self._start()
        try:
            self._follow(process)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
            self._keep_checkpoints()
        if status != 0:
            said = "\n".join(self._said)
            raise fault_of(RuntimeError(f"llamafactory-cli ended with {status}: {said}"), "runtime.crashed")
        return self._result()

    def _start(self) -> subprocess.Popen[str]:
        command = factory()
        if command is None:
            raise Fault("config.bad", "llamafactory-cli is not there: install LLaMA-Factory beside this Python.")
        from datasets import Dataset  # it comes with LLaMA-Factory

        rows = Dataset.from_generator(
            lambda: rows_of_run(self._spec, self._batches), cache_dir=str(self._work / "made")
        )
        rows.save_to_disk(str(self._work / "rows"))
        settings = settings_of(self._spec, self._work / "rows", self._out, self._batches.total_steps)
        path = self._work / "train.yaml"
        path.write_text(json.dumps(settings, indent=2))  # JSON is YAML, too
        self._events.write("phase", phase="training")
        return subprocess.Popen(
            [command, "train", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(self._spec.limits.cpu)},
            # It outlives this process by nothing; in the fork that is one system call, whatever threads there are.
            preexec_fn=end_with_launcher,  # noqa: PLW1509
        )

    def _follow(self, process: subprocess.Popen[str]) -> None:
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stdout or ()], daemon=True)
        reader.start()
        try:
            while reader.is_alive() or not lines.empty():
                raise_if_stopped(self._spec.output_dir)
                self._events.heartbeat(self.step)
                with suppress(queue.Empty):
                    self._take(lines.get(timeout=_LOOK_S))
        except StopRequested:
            process.kill()
            reader.join()
            while not lines.empty():  # what it had done before belongs to its checkpoints
                self._take(lines.get())
            raise

    def _take(self, line: str) -> None:
        print(line, end="", flush=True)
        self._said.append(line.rstrip())
        found, now = _LOGGED.search(line), time.monotonic()
        if found:
            self._note_step(
                {name: float(value) for name, value in ast.literal_eval(found[0]).items()}, now - self._begin
            )
            self._keep_checkpoints()
        if found or _BEGIN in line:
            self._begin = now

    def _note_step(self, logged: dict[str, float], seconds: float) -> None:
        batch = self._batches.at(self.step)
        if not (math.isfinite(logged["loss"]) and math.isfinite(logged["grad_norm"])):
            rows = ", ".join(row.place for row in batch.rows[:8])
            raise Fault("training.diverged", f"Step {self.step + 1}: loss {logged['loss']}; its rows: {rows}.")
        self.step += 1
        tokens, trained = (sum(getattr(unit, name) for unit in batch.units) for name in ("length", "trained_count"))
        said = {"loss": logged["loss"], "tokens": tokens, "trainedTokens": trained, "stepMs": seconds * 1000}
        self._steps.append(said)
        self._events.write(
            "step",
            **said,
            step=self.step,
            totalSteps=self._batches.total_steps,
            epoch=self.step / self._batches.steps_per_epoch,
            learningRate=logged["learning_rate"],
            gradNorm=logged["grad_norm"],
            memory={"hostMib": _peak_mib()},
            metrics={"tokensPerSecond": tokens / seconds},
        )

    def _keep_checkpoints(self) -> None:
        """LLaMA-Factory writes the state last. What lies in `checkpoints` is named as the contract wants it."""
        for state in self._out.glob("checkpoint-*/trainer_state.json"):
            try:
                step = _step_in(state.parent)
            except ValueError:
                continue  # it is being written, or was when LLaMA-Factory ended
            kept = self._output / checkpoint_dir(step)
            if step <= self.step and not kept.exists():
                write_folder(kept, lambda into, made=state.parent: shutil.copytree(made, into, dirs_exist_ok=True))
                shutil.rmtree(state.parent)
                self._events.write("checkpoint", step=step, dir=checkpoint_dir(step))
                remove_old_checkpoints(self._spec)

    def _result(self) -> dict[str, Any]:
        self._events.write("phase", phase="saving")
        write_folder(self._output / "adapter", lambda into: [shutil.copy2(self._out / name, into) for name in _ADAPTER])
        losses = [step["loss"] for step in self._steps] or [0.0]
        tokens = sum(step["tokens"] for step in self._steps)
        return {
            "mode": "train",
            "steps": self.step,
            "firstLoss": losses[0],
            "lastLoss": losses[-1],
            "tokens": tokens,
            "trainedTokens": sum(step["trainedTokens"] for step in self._steps),
            "tokensPerSecond": tokens * 1000 / max(1.0, sum(step["stepMs"] for step in self._steps)),
            "peakMemoryMib": _peak_mib(),
            "memoryMode": self._spec.memory_mode or "layer-recompute",
            "artifactDir": "adapter",
        }


def _step_in(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])


def _peak_mib() -> float:
    """Of what was started and has ended, or of this process."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def run(path: str) -> int:
    """Returns the exit status."""
    events, train = None, None
    try:
        spec = read_spec(path)
        Path(spec.output_dir).mkdir(parents=True, exist_ok=True)
        events = EventsFile(spec.output_dir)
        train = Run(spec, events)
        events.write("result", result=train.train())
        return EXIT_DONE
    except StopRequested:
        return EXIT_SAVED_AND_LEFT
    except Exception as thrown:
        fault = fault_of(thrown, "runtime.crashed")
        print(fault, file=sys.stderr)
        if events:
            events.write(
                "failed", code=fault.code, message=str(fault), hint=fault.hint, step=train.step if train else 0
            )
        return fault.exit_status


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["capabilities"]:
            print(json.dumps(capabilities(), indent=2))
        case ["train", spec_path]:
            end_with_parent()
            sys.exit(run(spec_path))
        case _:
            print("usage: main.py capabilities | train <spec.json>", file=sys.stderr)
            sys.exit(EXIT_BAD_CONFIGURATION)
