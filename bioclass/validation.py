"""TOML in, validated models out: all errors at once, each with its value and the mend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from bioclass.errors import InputError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A model that refuses unknown keys and never coerces a string into a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML; ValueError where it is not."""
    data: dict[str, Any] = tomllib.loads(text)
    return data


def read_toml(path: Path, error: type[InputError]) -> dict[str, Any]:
    """Read one TOML file, or raise ``error`` with one sentence that names the file and the place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise error(f"{path} is a folder; a TOML file is wanted.") from None
    except PermissionError:
        raise error(f"{path} may not be read: give yourself permission.") from None
    except UnicodeDecodeError:
        raise error(f"{path} is not text in UTF-8, so it is not a TOML file.") from None
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path} is not valid TOML: {problem}.") from None


def parse_toml_value(text: str) -> Any:
    """One value as TOML writes it; anything that is not TOML is taken as a plain string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def validate(model: type[M], data: dict[str, Any], source: str, error: type[InputError]) -> M:
    """Validate ``data`` against ``model``, or raise ``error`` with every mistake listed.

    JSON is the way in because pydantic's strict mode accepts an array for a tuple there, and still refuses
    ``"3"`` for ``3``.
    """
    try:
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as problem:
        lines = [_sentence(model, item) for item in problem.errors()]
        head = f"{source} has {len(lines)} mistake{'s' if len(lines) > 1 else ''}:"
        raise error("\n".join([head, *(f"  - {line}" for line in lines)])) from None


def _sentence(model: type[BaseModel], item: Any) -> str:
    loc: tuple[str | int, ...] = item["loc"]
    path = [str(part) for part in loc]
    if item["type"] == "extra_forbidden":
        fields = _fields_at(model, loc[:-1])
        hint = did_you_mean(path[-1], fields) or f"; known here: {', '.join(sorted(fields))}"
        return f"unknown key {_dotted(model, loc)!r}{hint}"
    if item["type"] == "missing":
        return f"{_dotted(model, loc)!r} is missing"
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        known = [tag.strip(" '") for tag in item["ctx"].get("expected_tags", "").split(",") if tag]
        got = item["ctx"].get("tag")
        if got is None:
            return f"{_dotted(model, loc)!r} is a table that needs a name"
        hint = did_you_mean(str(got), known)
        return f"{_dotted(model, loc)}.name must be one of {', '.join(known)}. Got {got!r}{hint}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{_dotted(model, loc)}: {message}" if loc else message
    got = item["input"]
    hint = ""
    if item["type"] == "literal_error":
        words = [word.strip(" '") for word in item["ctx"]["expected"].replace(" or ", ",").split(",")]
        hint = did_you_mean(str(got), words)
    lowered = message[0].lower() + message[1:]
    return f"{_dotted(model, loc)}: {lowered}. Got {got!r}{hint}"


def _dotted(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """The key as the user wrote it: pydantic puts the tag of a union into the location; it is left out."""
    out: list[str] = []
    for depth, part in enumerate(loc):
        if isinstance(part, str) and _is_tag(model, loc[:depth], part):
            continue
        out.append(f"[{part}]" if isinstance(part, int) else str(part))
    return ".".join(out).replace(".[", "[")


def _is_tag(model: type[BaseModel], above: tuple[str | int, ...], part: str) -> bool:
    return any(
        _tag(candidate) == part and part not in candidate.model_fields for candidate in _models_at(model, above)
    )


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("name")
    args = get_args(field.annotation) if field is not None else ()
    return str(args[0]) if args and isinstance(args[0], str) else None


def _models_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    models = [model]
    for part in loc:
        inside: list[type[BaseModel]] = []
        for candidate in models:
            if isinstance(part, int) or _tag(candidate) == part:
                inside.append(candidate)
            elif part in candidate.model_fields:
                inside.extend(_models_in(candidate.model_fields[part].annotation))
        models = inside
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, tuple, list, dict) or get_args(annotation):
        return [found for arg in get_args(annotation) for found in _models_in(arg)]
    return []


def _fields_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> set[str]:
    return {name for candidate in _models_at(model, loc) for name in candidate.model_fields}
