"""What a grader is made of, as the spec names it; strict equals of `libs/contracts/src/grader.ts`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


GraderName = Annotated[str, Field(min_length=1, max_length=64)]
TemplateText = Annotated[str, Field(min_length=1, max_length=4096)]
SimilarityMetric = Literal[
    "fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
]


class StringCheck(Strict):
    type: Literal["string_check"]
    name: GraderName
    input: TemplateText
    reference: TemplateText
    operation: Literal["eq", "ne", "like", "ilike"]


class TextSimilarity(Strict):
    type: Literal["text_similarity"]
    name: GraderName
    input: TemplateText
    reference: TemplateText
    evaluation_metric: SimilarityMetric


class Multi(Strict):
    type: Literal["multi"]
    name: GraderName
    graders: Annotated[
        list[Annotated[StringCheck | TextSimilarity, Field(discriminator="type")]], Field(min_length=1, max_length=16)
    ]
    calculate_output: Annotated[str, Field(min_length=1, max_length=1024)]


GraderSettings = StringCheck | TextSimilarity | Multi
