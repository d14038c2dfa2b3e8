"""Frozen dataclass configs: their values checked against the annotations, and to JSON and back, without pickle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from numbers import Real
from reprlib import repr as short_repr
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import dataclass_transform

ConfigT = TypeVar("ConfigT")
WORDS = {int: "an int", float: "a finite float", NoneType: "None", Any: "anything"}  # others: "a" and their name


@dataclass_transform(frozen_default=True)
def config_dataclass(kind: type[ConfigT]) -> type[ConfigT]:
    """Make a class a frozen dataclass whose values are what the annotations of its fields say.

    Whenever one is made, each value goes through :func:`converted`; the class's own ``__post_init__`` runs after that.
    """
    own_checks = getattr(kind, "__post_init__", None)

    def __post_init__(self: Any) -> None:
        for name, hint in _hints(type(self)).items():
            object.__setattr__(self, name, converted(hint, getattr(self, name), f"{type(self).__name__}.{name}"))
        if own_checks is not None:
            own_checks(self)

    kind.__post_init__ = __post_init__
    return dataclass(frozen=True)(kind)


def converted(hint: Any, value: Any, name: str) -> Any:
    """A value as an annotation has it, if that is the same value: 2.0 as the int 2, a list as a tuple.

    Numbers may come from numpy or torch. An int becomes a float where a float is asked for, so that 20 and 20.0 make the
    same config, also in JSON. Of a union, the first type that takes the value has it.

    Args:
        hint: int, float (finite), bool, str, None, a class, or unions, literals, tuples, mappings of such; Any takes
            everything.
        name: of the value, for errors.

    Raises:
        TypeError: another type, such as a string for a number or a bool for an int.
        ValueError: the right type but not such a value: 2.5 for an int, NaN, a word that the literal does not have.
    """
    try:
        return _convert(hint, value)
    except (TypeError, ValueError) as error:
        message = f"{name} must be {_words(hint)}, got {short_repr(value)} of type {type(value).__name__}"
        raise type(error)(message) from None


def _convert(hint: Any, value: Any) -> Any:
    """:func:`converted`, with errors that have no words yet."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return _first_of(parts, value)
    if hasattr(value, "tolist"):  # arrays and tensors; numpy's scalars
        value = value.tolist()
    if kind is Any:
        return value
    if kind is Literal:
        for option in parts:
            if type(option) is type(value) and option == value:
                return option
        raise ValueError if type(value) in map(type, parts) else TypeError
    if kind in (int, float):
        return _number(kind, value)
    if kind is tuple and isinstance(value, list | tuple):
        inner = parts[:1] * len(value) if parts[-1] is ... else parts
        if len(inner) != len(value):
            raise ValueError
        return tuple(map(_convert, inner, value))
    if issubclass(kind, Mapping) and parts and isinstance(value, Mapping):
        return {_convert(parts[0], key): _convert(parts[1], item) for key, item in value.items()}
    # JSON knows a config by the name of its type: a subclass would not be read back.
    if not parts and (type(value) is kind if is_dataclass(kind) else isinstance(value, kind)):
        return value
    raise TypeError


def _first_of(hints: tuple[Any, ...], value: Any) -> Any:
    refusals = []
    for hint in hints:
        try:
            return _convert(hint, value)
        except (TypeError, ValueError) as error:
            refusals.append(type(error))
    raise ValueError if ValueError in refusals else TypeError


def _number(kind: type, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError
    try:
        number = kind(value)
    except OverflowError:  # an infinite int, or an int beyond the floats
        raise ValueError from None
    if number != value or number in (math.inf, -math.inf):  # NaN is not equal to itself
        raise ValueError
    return number or kind()  # -0.0 is equal to 0.0, and is to look the same in JSON


def _words(hint: Any) -> str:
    """What an annotation asks for, as in "an int or None"."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(map(_words, parts))
    if kind is Literal:
        return f"one of {parts}"
    if kind is tuple:
        return f"a tuple ({', '.join('...' if part is ... else _words(part) for part in parts)})"
    if parts:
        return f"a {kind.__name__} of {' to '.join(map(_words, parts))}"
    return WORDS.get(kind) or f"a {kind.__name__}"


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The annotations of a config's fields."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def config_to_json(config: Any, *, compact: bool = False) -> Any:
    """Plain JSON values of a (nested) config dataclass; each carries the name of its type.

    Args:
        compact: leave out the fields that have their default. What is left stays the same when the config gets further
            fields, so it can name a config by a digest; it cannot be read back once a default has changed.
    """
    if is_dataclass(config):
        return {
            "type": type(config).__name__,
            **{
                field.name: config_to_json(getattr(config, field.name), compact=compact)
                for field in fields(config)
                if not (compact and getattr(config, field.name) == _default(field))
            },
        }
    if isinstance(config, tuple | list):
        return [config_to_json(item, compact=compact) for item in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    raise TypeError(f"a config holds numbers, strings, tuples and other configs, got {type(config).__name__}")


def config_from_json(data: Any, *expected: type) -> Any:
    """The config that :func:`config_to_json` wrote.

    Args:
        expected: the config types that it may have. Types of configs inside it come from the annotations of its fields.

    Raises:
        ValueError: a type or a field that is not known, as in a file from another version; a field that is missing and
            has no default; a value that the config refuses.
    """
    if isinstance(data, list):
        return tuple(config_from_json(item, *expected) for item in data)
    if not isinstance(data, dict) or not expected:  # whether such a value is good is for the config to say that has it
        return data
    types, name = {kind.__name__: kind for kind in expected}, data.get("type")
    if not isinstance(name, str) or name not in types:
        raise ValueError(f"unknown config type {short_repr(name)}; expected one of {sorted(types)}")
    inner = {name: tuple(_config_types(hint)) for name, hint in _hints(types[name]).items()}
    values = {key: value for key, value in data.items() if key != "type"}
    return config_of(types[name], {key: config_from_json(value, *inner.get(key, ())) for key, value in values.items()})


def config_of(kind: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """A config with these values of its fields, which come from a file.

    Raises:
        ValueError: a field that is not known, one that is missing and has no default, or a value that the config refuses.
    """
    name, known = kind.__name__, list(_hints(kind))
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"{name} has no field(s) {short_repr(unknown)}; it has {sorted(known)}")
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    if missing := sorted(needed - set(values)):
        raise ValueError(f"{name} lacks its field(s) {missing}, which have no default")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _default(field: Field) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _config_types(hint: Any) -> Iterator[type]:
    if is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from _config_types(part)


def differences(found: Any, expected: Any, name: str = "config", most: int = 5) -> str:
    """Where two configs in JSON differ, in words that fit on a screen: ``config.alpha: 3.0, not 20.0``."""
    lines = list(_differences(found, expected, name))
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "; ".join(lines[:most] + more)


def _differences(found: Any, expected: Any, name: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict) and found.get("type") == expected.get("type"):
        for key in sorted(set(found) | set(expected)):
            yield from _differences(found.get(key, "nothing"), expected.get(key, "nothing"), f"{name}.{key}")
    elif found != expected:
        short = (value.get("type") if isinstance(value, dict) else value for value in (found, expected))
        yield "{}: {}, not {}".format(name, *short)
