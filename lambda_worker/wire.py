"""How a frozen dataclass becomes a JSON object and is read back: kinds, bounds, names.

Names are camelCase on the wire and snake_case here; the conversion happens in this module alone. It needs the
standard library only.
"""

import builtins
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Protocol, Self, dataclass_transform


class ContractError(ValueError):
    """Bytes that are no message or webhook of the contract; the text names the field and what is wrong."""


# --- Bounds -------------------------------------------------------------------------------------------------

# No wider than what every database keeps: a value beyond them is refused here, not by one of them later.


class _Bound(Protocol):
    def refuse(self, value: Any) -> str | None:
        """Return what a value beyond the bound must be, ``None`` for one within it."""


@dataclass(frozen=True, slots=True)
class Within:
    """A number's bounds, both included."""

    least: float
    greatest: float

    def refuse(self, value: Any) -> str | None:
        """Return what a number out of bounds must be."""
        # Written so that a NaN is refused too.
        return None if self.least <= value <= self.greatest else f"from {self.least} to {self.greatest}"


@dataclass(frozen=True, slots=True)
class Short:
    """Text of so many characters at the most, without those that databases or encoders refuse."""

    max_chars: int

    def refuse(self, value: Any) -> str | None:
        """Return what an unfit text must be."""
        if len(value) <= self.max_chars and not _UNSTORABLE.search(value):
            return None
        return f"a text of at most {self.max_chars} characters, without NUL and lone surrogates"


_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")

# --- Conversion ---------------------------------------------------------------------------------------------


@dataclass_transform(frozen_default=True, kw_only_default=True)
def wire(cls: builtins.type[Any]) -> builtins.type[Any]:
    """Make a class a frozen dataclass with keywords alone, as every message is."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


@cache
def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


@cache
def _hints(cls: builtins.type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _dump(value: Any) -> Any:
    if isinstance(value, Wire):
        return value.dump()
    if isinstance(value, tuple):
        return [_dump(item) for item in value]
    return value


def _parse_value(hint: Any, value: Any, path: str) -> Any:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Annotated:
        kind, bound = arguments
        parsed = _parse_value(kind, value, path)
        wanted = bound.refuse(parsed)
        if wanted:
            raise ContractError(f"{path} must be {wanted}")
        return parsed
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _parse_value(next(kind for kind in arguments if kind is not type(None)), value, path)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ContractError(f"{path} must be a list")
        return tuple(_parse_value(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise ContractError(f"{path} must be an object")
        return value
    if isinstance(hint, type) and issubclass(hint, Wire):
        return hint.parse(value, path=path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ContractError(f"{path} is too large") from None
    if hint is int and isinstance(value, bool):
        raise ContractError(f"{path} must be a whole number")
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError:
            raise ContractError(f"{path} must be one of {', '.join(hint)}") from None
    if not isinstance(value, hint):
        raise ContractError(f"{path} must be {_KINDS[hint]}")
    return value


_KINDS: Final = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


class Wire:
    """A frozen dataclass that reads itself from, and writes itself to, a JSON object with camelCase keys."""

    __slots__ = ()

    @classmethod
    def parse(cls, data: object, *, path: str = "") -> Self:
        """Build an instance from decoded JSON, ignoring unknown keys.

        Raises:
            ContractError: a required key is missing, or a value is of the wrong kind.
        """
        if not isinstance(data, dict):
            raise ContractError(f"{path or 'the message'} must be an object")
        values: dict[str, Any] = {}
        for each in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            key = _camel(each.name)
            where = f"{path}.{key}" if path else key
            if key in data:
                values[each.name] = _parse_value(_hints(typing.cast("Any", cls))[each.name], data[key], where)
            elif each.default is MISSING and each.default_factory is MISSING:
                raise ContractError(f"{where} is missing")
        return cls(**values)

    def dump(self) -> dict[str, Any]:
        """Return what :meth:`parse` reads. Fields that are ``None`` are left out."""
        pairs = ((each.name, getattr(self, each.name)) for each in fields(self))  # type: ignore[arg-type]
        return {_camel(name): _dump(value) for name, value in pairs if value is not None}


def _finite(literal: str) -> float:
    """Refuse what Python reads as a number and JSON doesn't know, or can't write again."""
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:16]} is no number")
    return value


def decode(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ContractError: the text is no JSON, or no object.
    """
    try:
        data = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"the text is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ContractError("the text is JSON, but no object")
    return data


def encode(data: Mapping[str, Any]) -> str:
    """Return the text that :func:`decode` reads."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
