"""Policies with random weights, so that no trained one is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def random_weights(observation_dim, action_dim, *, names=("latent_pi.0", "latent_pi.2", "mu", "log_std"), mean=0.0):
    """A small network; in every coordinate, its mean action is about tanh(`mean`) and its standard deviation about 0.6."""
    rng = np.random.default_rng(0)
    sizes = [(16, observation_dim), (12, 16), (action_dim, 12), (action_dim, 12)]
    biases = (0.0, 0.0, mean, -0.5)
    weights = {
        f"{name}.weight": rng.normal(0, 0.1, size).astype(np.float32) for name, size in zip(names, sizes, strict=True)
    }
    return weights | {
        f"{name}.bias": np.full(size[0], bias, dtype=np.float32)
        for name, size, bias in zip(names, sizes, biases, strict=True)
    }


@pytest.fixture
def policy_file(tmp_path):
    """Write an .npz file with random weights and return its path."""

    def write(observation_dim: int, action_dim: int, name: str = "policy", **options) -> Path:
        path = tmp_path / f"{name}.npz"
        np.savez(path, **random_weights(observation_dim, action_dim, **options))
        return path

    return write
