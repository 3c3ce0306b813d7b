"""TOML in, validated models out: all errors at once, each with its value and the mend."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from bioclass.errors import InputError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

M = TypeVar("M", bound=BaseModel)

_LISTED = 20
"""Names up to which all are listed in a sentence."""

_FIRST = 5
_NEAR = 4


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
    except RecursionError:
        raise error(f"{path} is not valid TOML for bioclass: it is nested too deeply.") from None
    except ValueError as problem:  # TOMLDecodeError, or a number of thousands of digits
        raise error(f"{path} is not valid TOML: {problem}.") from None


def parse_toml_value(text: str) -> Any:
    """One value as TOML writes it; anything that is not TOML is taken as a plain string."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def validate(model: type[M], data: dict[str, Any], source: str, error: type[InputError]) -> M:
    """Validate ``data`` against ``model``, or raise ``error`` with every mistake listed.

    JSON is the way in because pydantic's strict mode accepts an array for a tuple there, and still refuses
    ``"3"`` for ``3``.
    """
    try:
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as problem:
        mistakes = [_Mistake(model, item) for item in problem.errors()]
    lines = list(dict.fromkeys(mistake.sentence(mistakes) for mistake in mistakes if mistake.counts(mistakes)))
    head = f"{source} has {len(lines)} mistake{'s' if len(lines) > 1 else ''}:"
    raise error("\n".join([head, *(f"  - {line}" for line in lines)]))


WORDS = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "tuple_type": "an array",
    "list_type": "an array",
}


class _Mistake:
    """One error of pydantic, with its place as the user wrote it.

    pydantic puts the arm of a union into the location (``fit.optimizer.sgd.lr``) and reports every arm of a union
    that has no tag; here the arm is left out, and the arms share one sentence.
    """

    def __init__(self, model: type[BaseModel], item: Any) -> None:
        self.kind: str = item["type"]
        self.message: str = item["msg"]
        self.context: dict[str, Any] = item.get("ctx", {})
        self.input = item["input"]
        self.keys: tuple[str | int, ...] = ()
        self.inside: list[Any] = [model]  # what may stand at this place
        self.above: list[Any] = []  # and at the one above it
        self.of_key = False
        labelled = False
        for part in item["loc"]:
            arms = [arm for kind in self.inside for arm in _arms(kind)]
            if part == "[key]":
                self.of_key = True
            elif len(arms) > 1 and not labelled:
                self.inside = [arm for arm in arms if part in _tags(arm)] or arms
                labelled = True
            else:
                self.keys += (part,)
                self.above = arms
                self.inside = [found for arm in arms for found in _below(arm, part)]
                labelled = False
        self.items = 0
        if self.kind == "missing" and isinstance(self.keys[-1], int):
            # Of an array of fixed length, it is the array that is wrong.
            self.items = max(len(get_args(kind)) for kind in self.above)
            self.keys = self.keys[:-1]

    @property
    def path(self) -> str:
        """The dotted key."""
        return _dotted(self.keys)

    def _wrong_type(self) -> bool:
        return self.kind in WORDS or self.kind == "literal_error"

    def counts(self, mistakes: list[_Mistake]) -> bool:
        """Whether this tells the user more than the other mistakes at its place or below it."""
        below = [other for other in mistakes if other.keys[: len(self.keys)] == self.keys and other is not self]
        if self.kind == "too_short":  # counted without the items that are wrong themselves
            return not any(len(other.keys) > len(self.keys) for other in below)
        return not self._wrong_type() or all(other._wrong_type() and other.keys == self.keys for other in below)

    def sentence(self, mistakes: list[_Mistake]) -> str:
        """The mistake in words: the key, what is wanted, the value, and the mend if it is plain."""
        if self.kind == "extra_forbidden":
            fields = {name for kind in self.above if _is_model(kind) for name in kind.model_fields}
            hint = did_you_mean(str(self.keys[-1]), fields) or f"; known here: {', '.join(sorted(fields))}"
            return f"unknown key {self.path!r}{hint}"
        if self.kind == "missing" and not self.items:
            return f"{self.path!r} is missing"
        if self.kind == "value_error":
            message = self.message.removeprefix("Value error, ")
            return f"{self.path}: {message}" if self.keys else message
        if self.kind == "json_invalid":  # TOML never holds a lone surrogate, a command line may
            return "a value of --set is not text in UTF-8"
        if self.kind in ("union_tag_invalid", "union_tag_not_found"):
            return self._name_wanted()
        if self._wrong_type():
            return self._type_wanted([other for other in mistakes if other.keys == self.keys])
        return f"{self.path or 'it'} {self._wanted()}. Got {_shown(self.input)}"

    def _wanted(self) -> str:
        if self.items:
            return f"must have {self.items} values"
        if self.kind == "too_long":
            return f"must have {self.context['max_length']} values"
        if self.kind == "too_short":
            return f"must have at least {self.context['min_length']} values"
        words = self.message[0].lower() + self.message[1:]
        return re.sub(r"^(input|string|tuple|dictionary) should ", "must ", words)

    def _name_wanted(self) -> str:
        known = [tag.strip(" '") for tag in self.context.get("expected_tags", "").split(",") if tag]
        known = known or [tag for kind in self.inside for arm in _arms(kind) for tag in _tags(arm)]
        if self.kind == "union_tag_not_found":
            return f"{self.path}.name is missing; it must be one of {_listed(known)}"
        got = self.input.get("name") if isinstance(self.input, dict) else self.context.get("tag")
        near = _near(got, known) if isinstance(got, str) else []
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"{self.path}.name must be one of {_listed(known)}. Got {_shown(got)}{hint}"

    def _type_wanted(self, same: list[_Mistake]) -> str:
        wanted = [
            other.context["expected"] if other.kind == "literal_error" else WORDS[other.kind] for other in same
        ]
        known = [word for text in wanted for word in re.findall(r"'(.*?)'", text)]
        hint = ""
        if isinstance(self.input, str):
            tags = {tag for kind in self.inside for arm in _arms(kind) for tag in _tags(arm)}
            if self.input in tags:
                hint = f"; did you mean {self.path}.name = {self.input!r}?"
            else:
                hint = did_you_mean(self.input, known)
        subject = f"the key {self.path!r}" if self.of_key else self.path or "it"
        return f"{subject} must be {', or '.join(dict.fromkeys(wanted))}. Got {_shown(self.input)}{hint}"


def _dotted(keys: Sequence[str | int]) -> str:
    return ".".join(f"[{key}]" if isinstance(key, int) else key for key in keys).replace(".[", "[")


def _shown(value: Any) -> str:
    """A value as TOML writes it, as far as that is short."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _arms(kind: Any) -> list[Any]:
    """The types that one annotation allows, without None and without what is only annotated."""
    if get_origin(kind) is Annotated:
        return _arms(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [arm for inner in get_args(kind) for arm in _arms(inner)]
    return [] if kind is type(None) else [kind]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _tags(kind: Any) -> tuple[str, ...]:
    """The names that choose this model in a union."""
    field = kind.model_fields.get("name") if _is_model(kind) else None
    args = get_args(field.annotation) if field is not None else ()
    return tuple(arg for arg in args if isinstance(arg, str))


def _near(word: str, names: Sequence[str]) -> list[str]:
    """The names that were probably meant: of many those that begin so, else the one that is most alike."""
    longer = [name for name in names if name.startswith(word)] if len(names) > _LISTED else []
    return longer[:_NEAR] if word and longer else get_close_matches(word, names, n=1)


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence; of many the first, and how to see the others."""
    if len(names) <= _LISTED:
        return ", ".join(names)
    first, rest = ", ".join(names[:_FIRST]), len(names) - _FIRST
    return f"{first} and {rest} more (`bioclass recipes schema` has them all)"


def _below(kind: Any, part: str | int) -> list[Any]:
    """What may stand at a key or a place inside a value of this type."""
    if _is_model(kind):
        return [kind.model_fields[part].annotation] if part in kind.model_fields else []
    args = get_args(kind)
    if get_origin(kind) is dict:
        return [args[1]]
    if get_origin(kind) in (tuple, list):
        at = part if isinstance(part, int) and part < len(args) and args[-1] is not Ellipsis else 0
        return [args[at]]
    return []
