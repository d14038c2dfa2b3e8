"""What all tests share: one thread, a cache of their own, a tiny data set and tiny configs."""

from __future__ import annotations

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings

from sfbc_core import (
    CriticConfig,
    DiffusionConfig,
    ScoreNetworkConfig,
    SfBCConfig,
    SolverConfig,
    TrainingConfig,
    Trajectories,
)

# A shared machine can be slow for a moment; that says nothing of the code.
settings.register_profile("default", deadline=None)
# Many more examples, for `make faults`; `examples` of tests/support makes the most of it.
settings.register_profile("nightly", deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

torch.set_num_threads(1)  # results to the bit, and no fight over cores between test workers


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Never read or write the user's cache of data sets; one folder for the whole run keeps it fast."""
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _same_draws():
    """What a test draws, a bare network's weights for one, does not depend on the tests that its worker ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture
def untyped():
    """Without the tests' own type checks, as in use: what a user sees on bad input is our error, and that is tested."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def walk(generator) -> Trajectories:
    """240 transitions in episodes of 12: a state of 3 coordinates, actions of 2; terminals and timeouts alternate."""
    n = 240
    last = (torch.arange(n) + 1) % 12 == 0
    even = torch.arange(n) // 12 % 2 == 0
    return Trajectories(
        torch.randn(n, 3, generator=generator),
        torch.rand(n, 2, generator=generator) * 2 - 1,
        torch.rand(n, generator=generator),
        last & even,
        last & ~even,
    )


@pytest.fixture
def tiny_diffusion() -> DiffusionConfig:
    return DiffusionConfig(
        network=ScoreNetworkConfig(widths=(16, 8), embedding_dim=8, fourier_features=4, fourier_scale=2.0),
        solver=SolverConfig(steps=4),
        training=TrainingConfig(gradient_steps=30, batch_size=32, learning_rate=1e-3, checkpoint_every=10, log_every=7),
    )


@pytest.fixture
def tiny_sfbc(tiny_diffusion) -> SfBCConfig:
    critic = CriticConfig(
        hidden=(16, 16),
        training=TrainingConfig(gradient_steps=30, batch_size=32, learning_rate=1e-3, checkpoint_every=10, log_every=7),
    )
    return SfBCConfig(
        behavior=tiny_diffusion, critic=critic, planning_iterations=3, value_candidates=4, num_candidates=5, seed=3
    )
