"""What a stored result must hold, so that a damaged one is refused where it is read and not where it is drawn."""

from __future__ import annotations

import hashlib
import json
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


# ---- digests ---------------------------------------------------------------------------------------------------------


def digest_of(contents: Mapping[str, Any]) -> str:
    """The digest of what a line or a file holds, which it carries itself as `digest`."""
    rest = {name: value for name, value in contents.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def check_digest(contents: Mapping[str, Any]) -> None:
    """Refuse what was changed since it was written; what is older than the digest has none.

    Raises:
        ValueError: it was changed.
    """
    if contents.get("digest", digest_of(contents)) != digest_of(contents):
        raise ValueError("it was changed since it was written: its digest does not fit its contents")


def sealed(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Contents that may have any names, with their digest."""
    return {"contents": contents, "digest": digest_of({"contents": contents})}


def unsealed(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The contents that :func:`sealed` sealed; what is older is taken as it is.

    Raises:
        ValueError: they were changed since.
    """
    if found.keys() != {"contents", "digest"}:
        return found
    check_digest(found)
    return found["contents"]
