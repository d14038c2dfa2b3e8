"""How many examples a property test draws: so many by default, and in proportion more under a larger profile."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

DEFAULT = 100  # hypothesis's own


def examples(number: int, **options: Any) -> settings:
    """The settings of a property test; `options` are further ones."""
    return settings(max_examples=number * settings().max_examples // DEFAULT, **options)
