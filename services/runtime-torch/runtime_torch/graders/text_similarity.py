"""How alike two texts are, from 0 to 1, by the measures that graders name: rapidfuzz, NLTK and rouge-score."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .grader_spec import SimilarityMetric

# Comparing takes the product of both lengths.
_WORDS_MAX = 2000
_CHARACTERS_MAX = 20_000
# Words; single characters where a script puts no spaces between them.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)

Similarity = Callable[[str, str], float]


def similarity_of(metric: SimilarityMetric) -> Similarity:
    """Of an answer to a reference. Two texts without a word are alike, one without is not like the other."""
    match metric:
        case "fuzzy_match":
            return _fuzzy_match
        case "bleu":
            return _of_words(_bleu)
        case "gleu":
            return _of_words(_gleu)
        case _:
            return _of_words(_rouge(metric.replace("rouge_", "rouge").replace("rougel", "rougeL")))


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.lower())[:_WORDS_MAX]


def _fuzzy_match(answer: str, reference: str) -> float:
    from rapidfuzz import fuzz

    return fuzz.ratio(answer[:_CHARACTERS_MAX], reference[:_CHARACTERS_MAX]) / 100


def _of_words(measure: Callable[[list[str], list[str]], float]) -> Similarity:
    def similarity(answer: str, reference: str) -> float:
        ours, theirs = words_of(answer), words_of(reference)
        if not ours or not theirs:
            return float(ours == theirs)
        return min(1.0, max(0.0, measure(ours, theirs)))

    return similarity


def _bleu(answer: list[str], reference: list[str]) -> float:
    """Up to as many words in a row as the shorter text has, at most four; counts of zero are smoothed."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    order = min(4, len(answer), len(reference))
    smoothing: Any = SmoothingFunction().method1
    found: Any = sentence_bleu([reference], answer, weights=(1 / order,) * order, smoothing_function=smoothing)
    return float(found)


def _gleu(answer: list[str], reference: list[str]) -> float:
    from nltk.translate.gleu_score import sentence_gleu

    return float(sentence_gleu([reference], answer))


def _rouge(name: str) -> Callable[[list[str], list[str]], float]:
    """The F-measure."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer: Any = RougeScorer([name], tokenizer=_AsTheyAre())
    return lambda answer, reference: float(scorer.score("\n".join(reference), "\n".join(answer))[name].fmeasure)


class _AsTheyAre:
    """The library's own way of finding words knows Latin letters alone."""

    def tokenize(self, text: str) -> list[str]:
        return text.split("\n")
