from __future__ import annotations

from dataclasses import replace

import pytest

from sfbc_core.experiments import Trial


@pytest.fixture
def trial(tiny_sfbc) -> Trial:
    """SfBC with two iterations on the car, evaluated after each of them and in one other way."""
    config = replace(tiny_sfbc, planning_iterations=2)
    variants = {"K = 1": {"iteration": 1}, "K = 2": {}, "any": {"selection": "sample", "alpha": 0.0}}
    return Trial("bidirectional-car", config, 3, variants, transitions=400, profile="smoke")
