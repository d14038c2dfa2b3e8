"""What a chapter's numbers came from, as a page shows it."""

from __future__ import annotations

import time
from html import escape

from sfbc_core.experiments.profiles import checked_profile
from sfbc_core.experiments.provenance import provenance_facts


class Provenance:
    """What a chapter's numbers came from; the last cell of a chapter shows it.

    Make it in the first cell, so that the time it reports is the chapter's.
    """

    def __init__(self, profile: str, seed: int) -> None:
        self.profile = checked_profile(profile)  # refused at once, not in the last cell
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
