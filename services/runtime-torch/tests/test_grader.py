"""Graders: what they give, and what of them is refused, with the place."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from runtime_torch.fault import Fault
from runtime_torch.graders.grader import open_grader
from runtime_torch.graders.grader_formula import parse_formula
from runtime_torch.graders.grader_spec import GraderSettings
from runtime_torch.graders.grader_template import GraderError, parse_template
from runtime_torch.graders.text_similarity import similarity_of, words_of

ANSWER, WANTED = "{{sample.output_text}}", "{{ item.answer }}"


def check(operation: str, **changes: Any) -> dict[str, Any]:
    fields = {"type": "string_check", "name": operation, "input": ANSWER, "reference": WANTED, "operation": operation}
    return {**fields, **changes}


def similarity(metric: str, **changes: Any) -> dict[str, Any]:
    fields = {"type": "text_similarity", "name": metric, "input": ANSWER, "reference": WANTED}
    return {**fields, "evaluationMetric": metric, **changes}


def multi(formula: str, *graders: dict[str, Any]) -> dict[str, Any]:
    return {"type": "multi", "name": "all", "graders": list(graders), "calculateOutput": formula}


def reward(settings: dict[str, Any], answer: str, item: dict[str, Any]) -> float:
    return open_grader(TypeAdapter(GraderSettings).validate_python(settings)).reward(item, answer)


@pytest.mark.parametrize(
    ("operation", "answer", "wanted", "points"),
    [
        ("eq", "Paris", "Paris", 1),
        ("eq", "paris", "Paris", 0),
        ("ne", "Rome", "Paris", 1),
        ("like", "It is Paris.", "Paris", 1),
        ("like", "It is paris.", "Paris", 0),
        ("ilike", "It is PARIS.", "paris", 1),
        ("ilike", "It is Rome.", "paris", 0),
    ],
)
def test_a_string_check_says_yes_or_no(operation: str, answer: str, wanted: str, points: int):
    assert reward(check(operation), answer, {"answer": wanted}) == points


@pytest.mark.parametrize(
    ("metric", "answer", "wanted", "points"),
    [
        ("fuzzy_match", "kitten", "sitting", 2 * 4 / 13),  # four letters of six and seven in order
        ("rouge_1", "the cat sat", "the cat ran home", 2 * 2 / 7),
        ("rouge_2", "the cat sat", "the cat ran home", 2 * 1 / 5),
        ("rouge_l", "the sat cat", "the cat sat", 2 * 2 / 6),
        ("gleu", "the cat sat", "the cat ran", 3 / 6),  # of words, pairs and triples: 2 + 1 + 0 of 6
        ("bleu", "a b", "a c", (1 / 2 * 0.1 / 1) ** 0.5),
        ("rouge_l", "三年保修", "保修三年", 0.5),
        ("rouge_1", "三年保修", "保修三年", 1),
    ],
)
def test_a_similarity_is_what_its_definition_says(metric: Any, answer: str, wanted: str, points: float):
    assert similarity_of(metric)(answer, wanted) == pytest.approx(points)


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_5", "rouge_l"])
def test_every_similarity_runs_from_nothing_to_the_same_text(metric: Any):
    text = "The lamp has a warranty of three years."
    assert similarity_of(metric)(text, text) == pytest.approx(1)
    assert similarity_of(metric)("", text) == 0
    assert similarity_of(metric)("", "") == 1
    assert similarity_of(metric)("x" * 50_000, "y " * 50_000) == pytest.approx(0, abs=1e-3)


def test_words_are_found_in_every_script():
    assert words_of("Größe: 12 cm, 灯泡E27。ランプ") == ["größe", "12", "cm", "灯", "泡", "e27", "ラ", "ン", "プ"]


def test_several_graders_are_put_together_by_a_formula():
    settings = multi("0.7 * eq + 0.3 * rouge_l", check("eq"), similarity("rouge_l"))
    assert reward(settings, "three years", {"answer": "three years"}) == pytest.approx(1)
    assert reward(settings, "years three", {"answer": "three years"}) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("a + b * 2 - 1", 3.5),
        ("(a + b) / 2", 1.25),
        ("-a ^ 2", -0.25),
        ("2 ^ 3 ^ 2", 512),
        ("min(a, b) + max(a, b, 3)", 3.5),
        ("sqrt(floor(b) + ceil(b) - abs(-a) - 0.5)", 3**0.5),
        ("exp(log(b))", 2),
        (".5*--a", 0.25),
    ],
)
def test_a_formula_is_computed_as_it_is_read(formula: str, value: float):
    assert parse_formula(formula, ["a", "b"])({"a": 0.5, "b": 2.0}) == pytest.approx(value)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("", "ends too early"),
        ("a +", "ends too early"),
        ("(a", r'"\)" is missing'),
        ("a b", '"b" at character 3'),
        ("a + c", '"c" at character 5 is not the name of a grader; there are a, b'),
        ("__import__('os')", "does not belong into a formula"),
        ("__import__(a)", '"__import__" at character 1 is not one of min'),
        ("a.__class__", '"." at character 2 does not belong'),
        ("a[0]", r'"\[" at character 2'),
        ("exp(a, b)", "takes 1 at most, not 2"),
        ("(" * 40 + "a" + ")" * 40, "more than 32 deep"),
        ("^".join(["a"] * 40), "more than 32 deep"),
        ("a; b", '";" at character 2'),
        ("a\x00", "does not belong"),
    ],
)
def test_a_hostile_formula_is_refused_with_the_place(formula: str, said: str):
    with pytest.raises(GraderError, match=said):
        parse_formula(formula, ["a", "b"])


@pytest.mark.parametrize("formula", ["1 / a", "log(a)", "exp(9999)", "(a - 1) ^ 0.5", "9 ^ 9 ^ 9"])
def test_a_formula_without_a_finite_result_says_so(formula: str):
    with pytest.raises(GraderError, match="a = 0"):
        parse_formula(formula, ["a"])({"a": 0.0})


def test_a_long_sum_is_no_deep_one():
    assert parse_formula("+".join(["a"] * 500), ["a"])({"a": 1.0}) == 500


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{sample.output_text}}", "Paris"),
        ("<{{ item.city.name }}>", "<Rome>"),
        ("{{item.list.1}} {{item.number}} {{item.yes}}", "b 3 true"),
        ("{{item.list}}", '["a", "b"]'),
        ("no place { } }}", "no place { } }}"),
        ("{{item.braces}}", "{{item.city}}"),
    ],
)
def test_a_template_is_filled_once_with_what_the_row_holds(text: str, filled: str):
    item = {"city": {"name": "Rome"}, "list": ["a", "b"], "number": 3, "yes": True, "braces": "{{item.city}}"}
    assert parse_template(text).fill(item, "Paris") == filled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{item.x", "at character 1 is not closed"),
        ("a {{item}}", "at character 3 cannot be filled in"),
        ("{{item.x | safe}}", "cannot be filled in"),
        ("{{item.__class__()}}", "cannot be filled in"),
        ("{{sample.output_json.x}}", "cannot be filled in"),
        ("{{{{item.x}}}}", "cannot be filled in"),
    ],
)
def test_a_hostile_template_is_refused_with_the_place(text: str, said: str):
    with pytest.raises(GraderError, match=said):
        parse_template(text)


@pytest.mark.parametrize("path", ["missing", "city.missing", "list.9", "list.-1", "number.real", "city.__class__"])
def test_a_field_that_the_row_lacks_is_named(path: str):
    with pytest.raises(GraderError, match=f'the row has no "item.{path}"'):
        parse_template(f"{{{{item.{path}}}}}").fill({"city": {}, "list": [1], "number": 3}, "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (check("eq", reference="{{item}}"), r"method\.grader\.reference: "),
        (multi("a + 1", check("eq")), r"method\.grader\.calculateOutput: .*there are eq"),
        (multi("eq", check("eq", input="{{x}}")), r"method\.grader\.graders\.0\.input: "),
        (multi("eq", check("eq"), check("eq")), "two of them have the same name"),
    ],
)
def test_a_grader_that_cannot_be_is_refused_with_the_field(settings: dict[str, Any], said: str):
    with pytest.raises(Fault, match=said) as raised:
        reward(settings, "", {})
    assert raised.value.code == "config.bad"
