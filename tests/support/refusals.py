"""What every refusal of a damaged file must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCREEN = 600  # characters


def refused(action: Callable[[], Any], path: Path, what: str = ".") -> str:
    """Whatever is wrong, it is a ValueError that names the file and fits on a screen; its message, which says `what`."""
    with pytest.raises(ValueError, match=what) as caught:
        action()
    message = str(caught.value)
    assert str(path) in message and len(message) <= SCREEN, f"{what}: {message}"
    return message
