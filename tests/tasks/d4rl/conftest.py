"""Tests in this folder need D4RL's packages, which only exist for Python 3.10 and 3.11."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True)
def _d4rl_is_installed():
    missing = [name for name in ("d4rl", "gym", "mujoco", "dm_control") if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install 'sfbc-core[d4rl]' on Python 3.10 or 3.11")
