"""Graders: what an answer is worth, by the rules that the job's owner has written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from ..fault import Fault
from .grader_formula import parse_formula
from .grader_spec import GraderSettings, Multi, StringCheck, TextSimilarity
from .grader_template import GraderError, Template, parse_template
from .text_similarity import similarity_of

Item = Mapping[str, Any]


class Grader(ABC):
    @abstractmethod
    def reward(self, item: Item, answer: str) -> float:
        """@raises GraderError for a row that it cannot grade."""


def open_grader(settings: GraderSettings, field: str = "method.grader") -> Grader:
    """Raises `config.bad` that names the place: what can be wrong with a grader is found before a model is loaded."""
    match settings:
        case StringCheck():
            return _StringCheck(settings, field)
        case TextSimilarity():
            return _TextSimilarity(settings, field)
        case Multi():
            return _Multi(settings, field)


class _StringCheck(Grader):
    def __init__(self, settings: StringCheck, field: str) -> None:
        self._operation: Literal["eq", "ne", "like", "ilike"] = settings.operation
        self._input, self._reference = _templates(settings, field)

    def reward(self, item: Item, answer: str) -> float:
        given, wanted = self._input.fill(item, answer), self._reference.fill(item, answer)
        match self._operation:
            case "eq":
                return float(given == wanted)
            case "ne":
                return float(given != wanted)
            case "like":
                return float(wanted in given)
            case "ilike":
                return float(wanted.casefold() in given.casefold())


class _TextSimilarity(Grader):
    def __init__(self, settings: TextSimilarity, field: str) -> None:
        self._similarity = similarity_of(settings.evaluation_metric)
        self._input, self._reference = _templates(settings, field)

    def reward(self, item: Item, answer: str) -> float:
        return self._similarity(self._input.fill(item, answer), self._reference.fill(item, answer))


class _Multi(Grader):
    def __init__(self, settings: Multi, field: str) -> None:
        names = [one.name for one in settings.graders]
        if len(set(names)) < len(names):
            raise Fault("config.bad", f"{field}.graders: two of them have the same name.")
        self._graders = {
            one.name: open_grader(one, f"{field}.graders.{number}") for number, one in enumerate(settings.graders)
        }
        try:
            self._formula = parse_formula(settings.calculate_output, names)
        except GraderError as cause:
            raise Fault("config.bad", f"{field}.calculateOutput: {cause}.") from cause

    def reward(self, item: Item, answer: str) -> float:
        return self._formula({name: grader.reward(item, answer) for name, grader in self._graders.items()})


def _templates(settings: StringCheck | TextSimilarity, field: str) -> tuple[Template, Template]:
    return _template(settings.input, f"{field}.input"), _template(settings.reference, f"{field}.reference")


def _template(text: str, field: str) -> Template:
    try:
        return parse_template(text)
    except GraderError as cause:
        raise Fault("config.bad", f"{field}: {cause}.") from cause
