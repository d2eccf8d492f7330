import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Workshop

from runtime_torch.fault import Fault
from runtime_torch.spec import RuntimeSpec, read_spec

CONTRACT = Path(__file__).parents[3] / "libs/contracts/schema/runtime-spec.json"
SAFE_INTEGER = 9007199254740991
DECORATION = ("$id", "$schema", "$defs", "title", "default", "description", "discriminator")


def plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema as both generators would write it: references resolved, unions by one name, no decoration."""
    if isinstance(schema, list):
        return [plain(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return plain(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: plain(field, definitions) for name, field in value.items()}
        elif key == "required":
            result[key] = sorted(value)
        elif key in ("oneOf", "anyOf"):
            result["anyOf"] = plain(value, definitions)
        elif key not in DECORATION and not (key == "maximum" and value == SAFE_INTEGER):
            result[key] = plain(value, definitions)
    return one_way(result)


def one_way(schema: dict[str, Any]) -> dict[str, Any]:
    """Optional fields are nullable here and absent there; a choice of constants is an enumeration in one of them."""
    choices = schema.get("anyOf")
    if choices and all("const" in choice for choice in choices):
        return {"enum": [choice["const"] for choice in choices]}
    if "enum" in schema:
        return {"enum": schema["enum"]}
    if "const" in schema:
        return {"const": schema["const"]}
    return schema


def without_null_for_optional(schema: dict[str, Any]) -> None:
    """What may be left out is described here as null by default."""
    for name, field in schema.get("properties", {}).items():
        if name not in schema.get("required", []):
            rest = [choice for choice in field.get("anyOf", []) if choice != {"type": "null"}]
            if len(rest) == 1:
                schema["properties"][name] = rest[0]
        without_null_for_optional(schema["properties"][name])
    for choice in schema.get("anyOf", []):
        without_null_for_optional(choice)


def test_the_specification_is_the_contracts():
    contract = json.loads(CONTRACT.read_text())
    here = RuntimeSpec.model_json_schema(by_alias=True)
    ours = plain(here, here["$defs"])
    without_null_for_optional(ours)
    assert ours == plain(contract, {})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"seed": "x"}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"surprise": 1}, "surprise"),
        ({"runId": "run-1"}, "runId"),
        ({"method": {"type": "magic"}}, "method"),
    ],
)
def test_a_wrong_field_is_named(workshop: Workshop, change: dict[str, Any], where: str):
    path = workshop.root / "spec.json"
    path.write_text(json.dumps(workshop.fields(**change)))
    with pytest.raises(Fault, match=where) as raised:
        read_spec(str(path))
    assert raised.value.exit_status == 41
