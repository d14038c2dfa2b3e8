"""The record of the nightly set of faults: a line for each kind, with what was done, how often, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from sfbc_core.experiments.results import add_lines, read_lines
from sfbc_core.files import understanding

# `id`: the kind; `done`: in words; `outcomes` and `failures`: how often each was seen; the rest is where it comes from.
FAULT = ("id", "done", "tried", "outcomes", "failures", "seconds", "date", "versions", "machine", "commit")
LINE = "record of a fault"


def check_fault(line: Mapping[str, Any]) -> None:
    """Refuse a line whose counts do not add up.

    Raises:
        ValueError, KeyError, TypeError: the message says what.
    """
    counts = [*line["outcomes"].values(), *line["failures"].values()]
    if not all(type(count) is int and count > 0 for count in counts):
        raise ValueError(f"outcomes must be counted by positive whole numbers, got {counts}")
    if not counts or sum(counts) != line["tried"]:
        raise ValueError(f"{line['id']!r} was tried {line['tried']} times, but has {sum(counts)} outcomes")


def read_faults(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of a record, by the kind of fault.

    Raises:
        FileNotFoundError: there is no record, or an empty one.
        ValueError: a line that was changed since it was written, that lacks something, or whose counts do not add up.
    """
    lines = read_lines(path, FAULT, LINE)
    if not lines:
        raise FileNotFoundError(f"no record of faults in {path}: make it with `make faults`")
    for number, line in enumerate(lines, 1):
        with understanding(f"line {number} of {path}", f"is no {LINE}"):
            check_fault(line)
    return sorted(lines, key=lambda line: line["id"])


def record_faults(path: str | os.PathLike, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to a record; that of a kind which is there already is replaced, and the others stay.

    Raises:
        ValueError: a line, new or old, that is refused as by :func:`read_faults`.
    """
    for line in lines:
        with understanding(path, "was not written to"):
            check_fault(line)
    add_lines(path, lines, FAULT, LINE)
