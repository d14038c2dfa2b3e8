"""The three sizes of every chapter, and the record of what a result came from."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PROFILES = ("smoke", "quick", "full")
REPORTED_PACKAGES = ("sfbc-core", "torch", "numpy", "gymnasium")


def choose(profile: str, *, smoke: Any, quick: Any, full: Any) -> Any:
    """The setting that belongs to a profile.

    "smoke" takes seconds and shows nothing but that the code runs; "quick" trains for real on a CPU; "full" is
    as close to the paper as one machine allows.

    Raises:
        ValueError: another profile.
    """
    settings: Mapping[str, Any] = {"smoke": smoke, "quick": quick, "full": full}
    if profile not in settings:
        raise ValueError(f"profile must be one of {PROFILES}, got {profile!r}")
    return settings[profile]


class Provenance:
    """What a chapter's numbers came from; the last cell of a chapter shows it.

    Make it in the first cell, so that the time it reports is the chapter's.
    """

    def __init__(self, profile: str, seed: int) -> None:
        choose(profile, smoke=None, quick=None, full=None)  # refuse an unknown profile at once
        self.profile = profile
        self.seed = seed
        self.started = time.perf_counter()

    def record(self) -> dict[str, str]:
        """Profile, seed, date, seconds, versions and machine, by name."""
        return {
            "profile": self.profile,
            "seed": str(self.seed),
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "seconds": f"{time.perf_counter() - self.started:.0f}",
            "versions": ", ".join([f"Python {platform.python_version()}", *map(_package, REPORTED_PACKAGES)]),
            "machine": _machine(),
        }

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self.record().items()]
        return f"<table><tbody>{''.join(rows)}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.record().items())


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} (not installed)"


def _machine() -> str:
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores, {accelerator}"
