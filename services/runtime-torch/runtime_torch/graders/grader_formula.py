"""
The formula of a `multi` grader: numbers, names of graders, + - * / ^, brackets, and a few functions. A parser of its
own, as `eval` would run whatever stands there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from .grader_template import GraderError

_DEPTH_MAX = 32
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-z_][A-Za-z0-9_]*)|([-+*/^(),]))")
_FUNCTIONS: dict[str, tuple[Callable[..., float], range]] = {
    "min": (min, range(1, 17)),
    "max": (max, range(1, 17)),
    "abs": (math.fabs, range(1, 2)),
    "floor": (math.floor, range(1, 2)),
    "ceil": (math.ceil, range(1, 2)),
    "exp": (math.exp, range(1, 2)),
    "sqrt": (math.sqrt, range(1, 2)),
    "log": (math.log, range(1, 2)),
}

Values = Mapping[str, float]
Formula = Callable[[Values], float]
"""Takes the graders' scores by name. Raises GraderError where they give no finite number."""


def parse_formula(text: str, names: Sequence[str]) -> Formula:
    """Raises GraderError that names the place."""
    parser = _Parser(text, names)
    value = parser.whole()

    def formula(values: Values) -> float:
        try:
            result = float(value(values))
        except (ArithmeticError, ValueError) as cause:
            raise GraderError(f'"{text[:100]}" cannot be computed for {_shown(values)}: {cause}') from cause
        if not math.isfinite(result):
            raise GraderError(f'"{text[:100]}" is {result} for {_shown(values)}')
        return result

    return formula


def _shown(values: Values) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


class _Parser:
    """By descent: a sum of products of powers. Gives back functions of the graders' scores."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._names = names
        self._tokens = _tokens_of(text)
        self._end = len(text) + 1
        self._at = 0
        self._depth = 0

    def whole(self) -> Formula:
        value = self._sum()
        if self._peek() is not None:
            raise self._unexpected()
        return value

    def _sum(self) -> Formula:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise GraderError(f"brackets lie more than {_DEPTH_MAX} deep at character {self._place()}")
        terms = [(1.0, self._product())]
        while (sign := self._peek()) in ("+", "-"):
            self._at += 1
            terms.append((1.0 if sign == "+" else -1.0, self._product()))
        self._depth -= 1
        return lambda values: sum(sign * term(values) for sign, term in terms)

    def _product(self) -> Formula:
        first, others = self._signed(), list[tuple[str, Formula]]()
        while (sign := self._peek()) is not None and sign in "*/":
            self._at += 1
            others.append((sign, self._signed()))

        def product(values: Values) -> float:
            result = first(values)
            for sign, factor in others:
                result = result * factor(values) if sign == "*" else result / factor(values)
            return result

        return product

    def _signed(self) -> Formula:
        negative = False
        while self._peek() in ("+", "-"):
            negative ^= self._peek() == "-"
            self._at += 1
        value = self._power()
        return (lambda values: -value(values)) if negative else value

    def _power(self) -> Formula:
        base = self._atom()
        if self._peek() != "^":
            return base
        self._at += 1
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise GraderError(f"powers lie more than {_DEPTH_MAX} deep at character {self._place()}")
        exponent = self._signed()
        self._depth -= 1
        return lambda values: math.pow(base(values), exponent(values))

    def _atom(self) -> Formula:
        token = self._peek()
        if token is None or token in "+-*/^),":
            raise self._unexpected()
        if token == "(":
            self._at += 1
            value = self._sum()
            self._expect(")")
            return value
        place = self._place()
        self._at += 1
        if token[0].isdigit() or token[0] == ".":
            number = float(token)
            return lambda _: number
        if self._peek() == "(":
            return self._call(token, place)
        if token not in self._names:
            known = ", ".join(self._names)
            raise GraderError(f'"{token[:64]}" at character {place} is not the name of a grader; there are {known}')
        return lambda values: values[token]

    def _call(self, name: str, place: int) -> Formula:
        if name not in _FUNCTIONS:
            raise GraderError(f'"{name[:64]}" at character {place} is not one of {", ".join(_FUNCTIONS)}')
        function, counts = _FUNCTIONS[name]
        self._expect("(")
        arguments = [self._sum()]
        while self._peek() == ",":
            self._at += 1
            arguments.append(self._sum())
        self._expect(")")
        if len(arguments) not in counts:
            raise GraderError(f'"{name}" at character {place} takes {counts[-1]} at most, not {len(arguments)}')
        return lambda values: function(*(argument(values) for argument in arguments))

    def _peek(self) -> str | None:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else None

    def _place(self) -> int:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else self._end

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            raise self._unexpected(f'; "{token}" is missing')
        self._at += 1

    def _unexpected(self, more: str = "") -> GraderError:
        token = self._peek()
        return GraderError(
            f"the formula ends too early{more}"
            if token is None
            else f'"{token}" at character {self._place()} stands in the wrong place{more}'
        )


def _tokens_of(text: str) -> list[tuple[str, int]]:
    """Each with its place, from 1."""
    tokens: list[tuple[str, int]] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise GraderError(f'"{text[place]}" at character {place + 1} does not belong into a formula')
        token = found[found.lastindex or 0]
        tokens.append((token, found.start(found.lastindex or 0) + 1))
        at = found.end()
    return tokens
