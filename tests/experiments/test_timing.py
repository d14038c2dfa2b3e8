"""Times by a clock that the test turns, and counts by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from sfbc_core import CriticConfig, SfBCConfig
from sfbc_core.behavior import DiffusionBehavior, DiffusionConfig
from sfbc_core.critic import QCritic
from sfbc_core.diffusion import ScoreNetworkConfig
from sfbc_core.experiments import timing
from sfbc_core.experiments.timing import random_data, shortest_times, stage_counts, stage_seconds
from sfbc_core.training import TrainingConfig


@pytest.fixture
def clock(monkeypatch):
    """A list of one number, the time, which goes on only when it is added to."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def config():
    training = TrainingConfig(epochs=2, batch_size=100)
    return SfBCConfig(
        behavior=DiffusionConfig(ScoreNetworkConfig((8,), embedding_dim=4), training=training),
        critic=CriticConfig((8,), training=replace(training, epochs=None, gradient_steps=7)),
        planning_iterations=3,
        value_every=10,
        value_candidates=4,
    )


def test_the_shortest_of_the_tries_counts(clock):
    takes = {"a": [3.0, 1.0, 2.0], "b": [5.0, 6.0, 4.0]}
    tried = []

    def take(name):
        tried.append(name)
        clock[0] += takes[name][tried.count(name) - 1]

    assert shortest_times({name: (lambda name=name: take(name)) for name in takes}, 3) == {"a": 1.0, "b": 4.0}
    assert tried == ["a", "b"] * 3, "in turn"


def test_no_try_has_no_shortest_time():
    with pytest.raises(ValueError, match=r"tries.* got 0"):
        shortest_times({"a": lambda: None}, 0)


def test_random_data_end_their_last_episode():
    data = random_data(4, 2, rows=250)
    assert data.observations.shape == (250, 4) and data.actions.shape == (250, 2)
    assert data.episode_lengths.tolist() == [100, 100, 50]


def test_counts_by_hand(config):
    """1,005 rows: two epochs in batches of 100 are 21 steps; every tenth state from the first; three critics of 7 steps."""
    assert stage_counts(config, 1_005) == {"train μ": 21, "draw candidates": 101, "train Q": 21, "ask Q": 202}
    once = stage_counts(replace(config, planning_iterations=1), 1_005)
    assert once == {"train μ": 21, "draw candidates": 0, "train Q": 7, "ask Q": 0}, (
        "without a plan no candidate is needed"
    )


def test_a_step_costs_what_steps_add(config, clock, monkeypatch):
    """A training that takes 50 s to begin and 2 s or 3 s a step; candidates of a state in 0.5 s, their Q in 0.25 s."""

    def fitted(seconds):
        def fit(self, data, *targets):
            clock[0] += 50 + seconds * self.config.training.gradient_steps
            return self

        return fit

    monkeypatch.setattr(DiffusionBehavior, "fit", fitted(2.0))
    monkeypatch.setattr(QCritic, "fit", fitted(3.0))

    def sample(self, states, count, generator=None):
        clock[0] += 0.5 * len(states)
        return torch.zeros(len(states), count, 2)

    def q(self, states, candidates):
        clock[0] += 0.25 * len(states)

    monkeypatch.setattr(DiffusionBehavior, "sample", sample)
    monkeypatch.setattr(QCritic, "q", q)
    found = stage_seconds(config, random_data(4, 2), states=20, tries=1)
    assert found == {"train μ": 2.0, "draw candidates": 0.5, "train Q": 3.0, "ask Q": 0.25}


def test_real_networks_are_timed(config):
    found = stage_seconds(config, random_data(4, 2, 300), states=5, tries=1)
    assert list(found) == ["train μ", "draw candidates", "train Q", "ask Q"] and all(map(math.isfinite, found.values()))
