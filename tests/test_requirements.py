"""The pins fit every Python 3.11, also the early ones: Debian 12 has 3.11.2."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PINS = Path(__file__).parents[1] / "requirements.txt"


def test_no_pin_needs_a_later_python_3_11():
    wrong, seen = {}, 0
    for line in PINS.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pin = Requirement(line)
        try:
            installed = distribution(pin.name)
        except PackageNotFoundError:
            continue  # a marker leaves it out on this Python
        if not pin.specifier.contains(installed.version, prereleases=True):
            continue  # an environment of other versions says nothing of the pins
        seen += 1
        needed = installed.metadata.get("Requires-Python") or ""
        if not SpecifierSet(needed).contains("3.11.0"):
            wrong[line] = needed
    if not seen:
        pytest.skip("none of the pinned versions is installed")
    assert wrong == {}
