"""What a chapter's numbers came from, as a page shows it."""

from __future__ import annotations

import time
from html import escape
from typing import Any

from sfbc_core.experiments.profiles import checked_profile
from sfbc_core.experiments.provenance import provenance_facts

# What a chapter can have as parameters beside `profile`, with the type of each and how to call it.
PARAMETERS = {
    "seed": (int, "a whole number"),
    "results": (str, "the path of a folder"),
    "task_name": (str, "the name of a task"),
    "tasks": (str, "the name of a task, or a list of such in JSON, in quotes"),
    "train": (bool, "True or False"),
}


class Provenance:
    """What a chapter's numbers came from; the last cell of a chapter shows it.

    Make it in the first cell, so that the time it reports is the chapter's, and that wrong parameters are refused at once.

    Args:
        profile: "smoke", "quick" or "full".
        seed: at least 0.
        others: the chapter's other parameters by name, of those in `PARAMETERS`.

    Raises:
        TypeError: a parameter that is not in `PARAMETERS`.
        ValueError: an unknown profile, or a parameter of another type, as papermill gives one with the wrong option.
    """

    def __init__(self, profile: str, seed: int, **others: Any) -> None:
        self.profile = checked_profile(profile)
        if unknown := sorted(set(others) - set(PARAMETERS)):
            raise TypeError(f"expected parameters among {sorted(PARAMETERS)}, got {unknown}; add them to PARAMETERS")
        for name, value in {"seed": seed, **others}.items():
            kind, words = PARAMETERS[name]
            if type(value) is not kind:
                given = f"the string {value!r}" if isinstance(value, str) else f"{value!r}"
                hint = "-p gives numbers and flags, -r strings"
                raise ValueError(f"{name} must be {words}, got {given}: papermill's {hint}")
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        self.seed = seed
        self.started = time.perf_counter()

    def facts(self) -> dict[str, str]:
        """Profile, seed, date, seconds, versions and machine, by name."""
        return provenance_facts(self.profile, self.seed, self.started)

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self.facts().items()]
        return f"<table><tbody>{''.join(rows)}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.facts().items())
