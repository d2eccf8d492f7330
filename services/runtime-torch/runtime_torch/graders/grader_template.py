"""
Texts with places to fill in: `{{ sample.output_text }}`, what the model has answered, and `{{ item.field }}`, a field
of the row. Nothing else is understood, and nothing is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OPENING, _CLOSING = "{{", "}}"
_ITEM = re.compile(r"item((?:\.[A-Za-z0-9_-]{1,64}){1,8})")
_ANSWER = "sample.output_text"


class GraderError(ValueError):
    """What is wrong with a grader, or with a row that it was given."""


@dataclass(frozen=True)
class _Field:
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join(("item", *self.path))


@dataclass(frozen=True)
class Template:
    _parts: tuple[str | _Field | None, ...]
    """Texts as they are, fields of the row, and None for the answer."""

    def fill(self, item: Mapping[str, Any], answer: str) -> str:
        """@raises GraderError for a field that the row does not have."""
        return "".join(
            answer if part is None else part if isinstance(part, str) else _text_of(part, item) for part in self._parts
        )


def parse_template(text: str) -> Template:
    """Raises GraderError that names the place."""
    parts: list[str | _Field | None] = []
    at = 0
    while (opening := text.find(_OPENING, at)) >= 0:
        parts.append(text[at:opening])
        closing = text.find(_CLOSING, opening)
        if closing < 0:
            raise GraderError(f'"{{{{" at character {opening + 1} is not closed')
        parts.append(_reference(text[opening + len(_OPENING) : closing].strip(), opening + 1))
        at = closing + len(_CLOSING)
    return Template((*parts, text[at:]))


def _reference(name: str, place: int) -> _Field | None:
    if name == _ANSWER:
        return None
    if _ITEM.fullmatch(name):
        return _Field(tuple(name.split(".")[1:]))
    wanted = f"{{{{{_ANSWER}}}}} or {{{{item.<field>}}}}"
    raise GraderError(f'"{name[:100]}" at character {place} cannot be filled in; write {wanted}')


def _text_of(field: _Field, item: Mapping[str, Any]) -> str:
    value: Any = item
    for name in field.path:
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise GraderError(f'the row has no "{field.name}"')
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
