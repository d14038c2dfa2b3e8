"""Frozen dataclass configs to JSON and back, without pickle."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def config_to_json(config: Any) -> Any:
    """Plain JSON values of a (nested) config dataclass; each carries the name of its type."""
    if is_dataclass(config):
        return {
            "type": type(config).__name__,
            **{field.name: config_to_json(getattr(config, field.name)) for field in fields(config) if field.init},
        }
    if isinstance(config, tuple | list):
        return [config_to_json(item) for item in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    raise TypeError(f"a config holds numbers, strings, tuples and other configs, got {type(config).__name__}")


def config_from_json(data: Any, types: dict[str, type]) -> Any:
    """The config that :func:`config_to_json` wrote.

    Args:
        types: the config types that may occur, by name.

    Raises:
        ValueError: a type or a field that is not known, as in a file from another version.
    """
    if isinstance(data, list):
        return tuple(config_from_json(item, types) for item in data)
    if not isinstance(data, dict):
        return data
    name = data.get("type")
    if name not in types:
        raise ValueError(f"unknown config type {name!r}; expected one of {sorted(types)}")
    known = {field.name for field in fields(types[name])}
    values = {key: config_from_json(value, types) for key, value in data.items() if key != "type"}
    if unknown := set(values) - known:
        raise ValueError(f"{name} has no field(s) {sorted(unknown)}; it has {sorted(known)}")
    return types[name](**values)
