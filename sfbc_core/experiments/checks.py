"""What a stored result must hold, so that a damaged one is refused where it is read and not where it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sfbc_core.files import short

RESULT = ("id", "trial", "transitions", "reference_returns", "variants", "provenance")  # what every result holds


def check_result(result: Mapping[str, Any], variants: Iterable[str], episodes: int) -> None:
    """Refuse a result that lacks something, or does not fit its trial.

    Raises:
        ValueError, KeyError, TypeError: the message says what.
    """
    if missing := [name for name in RESULT if name not in result]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    for name in variants:
        check_variant(result["variants"][name], episodes)


def check_variant(variant: Mapping[str, Any], episodes: int) -> None:
    """Refuse what is stored of a variant unless it has a return, a length and a final position for every episode.

    Raises:
        ValueError, KeyError, TypeError: the message says what.
    """
    for name in ("returns", "lengths"):
        check_numbers(name, variant[name], episodes)
    check_numbers("final", [position[0] for position in variant["final"]], episodes)


def check_numbers(name: str, values: Any, count: int) -> None:
    """Refuse what is no list of so many numbers.

    Raises:
        ValueError: it is none.
    """
    if not (isinstance(values, list) and len(values) == count and all(type(one) in (int, float) for one in values)):
        raise ValueError(f"{short(name)} must be a list of {count} numbers, got {short(values, 80)}")
