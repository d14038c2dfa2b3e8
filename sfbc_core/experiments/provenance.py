"""What a result came from: profile, seed, date, seconds, versions and machine."""

from __future__ import annotations

import os
import platform
import time
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from sfbc_core.experiments.profiles import checked_profile

REPORTED_PACKAGES = ("sfbc-core", "torch", "numpy", "gymnasium")


def provenance_facts(profile: str, seed: int, started: float) -> dict[str, str]:
    """Profile, seed, date, seconds, versions and machine, by name.

    Args:
        profile: of the settings.
        seed: of the result.
        started: what ``time.perf_counter()`` said when the work began, from which the seconds are counted.

    Raises:
        ValueError: an unknown profile.
    """
    return {
        "profile": checked_profile(profile),
        "seed": str(seed),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": f"{time.perf_counter() - started:.0f}",
        "versions": ", ".join([f"Python {platform.python_version()}", *map(_package, REPORTED_PACKAGES)]),
        "machine": _machine(),
    }


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} (not installed)"


def _machine() -> str:
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores, {_processor()}, {accelerator}"


def _processor() -> str:
    """The processor's name and its vector instructions as torch sees them: with either, last bits of numbers can differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # another system
        lines = []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or "unknown processor"
    model = f" (model {facts['model']})" if "model" in facts else ""  # virtual machines name all of a kind alike
    return f"{name}{model} with {torch.backends.cpu.get_cpu_capability()}"
