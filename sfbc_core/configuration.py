"""Frozen dataclass configs to JSON and back, without pickle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints


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
                if field.init and not (compact and getattr(config, field.name) == _default(field))
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
        ValueError: a type or a field that is not known, as in a file from another version.
    """
    if isinstance(data, list):
        return tuple(config_from_json(item, *expected) for item in data)
    if not isinstance(data, dict):
        return data
    types = {kind.__name__: kind for kind in expected}
    name = data.get("type")
    if name not in types:
        raise ValueError(f"unknown config type {name!r}; expected one of {sorted(types)}")
    inner = _inner_types(types[name])
    if unknown := set(data) - set(inner) - {"type"}:
        raise ValueError(f"{name} has no field(s) {sorted(unknown)}; it has {sorted(inner)}")
    return types[name](**{key: config_from_json(value, *inner[key]) for key, value in data.items() if key != "type"})


def _default(field: Field) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def _inner_types(kind: type) -> dict[str, tuple[type, ...]]:
    """For each field of a config, the config types that its annotation names."""
    hints = get_type_hints(kind)
    return {field.name: tuple(_config_types(hints[field.name])) for field in fields(kind) if field.init}


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
