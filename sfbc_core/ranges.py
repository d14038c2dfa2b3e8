"""Ranges of the values of a config, refused in the same words everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "positive": (lambda value: value > 0, "be positive"),
    "nonnegative": (lambda value: value >= 0, "be at least 0"),
    "count": (lambda value: value >= 1, "be at least 1"),
    "share": (lambda value: 0 <= value <= 1, "lie in [0, 1]"),
    "positive_share": (lambda value: 0 < value <= 1, "lie in (0, 1]"),
    "below_one": (lambda value: 0 <= value < 1, "lie in [0, 1)"),
    "between": (lambda value: 0 < value < 1, "lie between 0 and 1"),
    "widths": (lambda value: min(value, default=0) >= 1, "hold at least one width, all positive"),
}


def check_ranges(config: Any, **names: Sequence[str]) -> None:
    """Refuse a field of a config that is out of its range; a field that is None is left alone.

    Args:
        config: any object.
        names: for each rule of `RULES`, the names of the fields that follow it: ``share=["discount"]``.

    Raises:
        ValueError: a value that breaks its rule.
    """
    for rule, fields in names.items():
        holds, expected = RULES[rule]
        for name in fields:
            value = getattr(config, name)
            if value is not None and not holds(value):
                raise ValueError(f"{name} must {expected}, got {value}")
