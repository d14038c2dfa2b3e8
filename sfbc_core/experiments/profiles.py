"""The three sizes at which every chapter and every trial can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROFILES = ("smoke", "quick", "full")


def choose(profile: str, *, smoke: Any, quick: Any, full: Any) -> Any:
    """The setting that belongs to a profile.

    "smoke" takes seconds and shows nothing but that the code runs; "quick" trains for real on a CPU; "full" is
    as close to the paper as one machine allows.

    Raises:
        ValueError: another profile.
    """
    settings: Mapping[str, Any] = {"smoke": smoke, "quick": quick, "full": full}
    return settings[checked_profile(profile)]


def checked_profile(profile: str) -> str:
    """The profile itself.

    Raises:
        ValueError: it is none of `PROFILES`.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {PROFILES}, got {profile!r}")
    return profile
