"""What the studies look at, against what it should be."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from sfbc_core import SfBC
from sfbc_core.experiments.profiles import PROFILES
from sfbc_core.experiments.studies.common import planned_picture, rounded
from sfbc_core.experiments.studies.maze2d import agreement
from sfbc_core.experiments.study import load_study

needs_d4rl = pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is not installed")


def test_agreement_is_the_mean_cosine():
    reference = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    actions = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])  # 0°, 90°, 180°, and one without an angle
    assert agreement(actions, reference) == pytest.approx(0.0)
    assert agreement(actions[:1], reference[:1]) == pytest.approx(1.0)


def test_a_picture_pairs_positions_with_their_targets(tiny_sfbc, walk):
    agent = SfBC(tiny_sfbc).fit(walk)
    agent.targets = [walk.observations[:, 0].double(), 2 * walk.observations[:, 1].double()]
    picture = planned_picture(agent, walk, seed=0)
    assert len(picture["positions"]) == len(walk), "no more than there are"
    positions = torch.tensor(picture["positions"])
    assert torch.allclose(torch.tensor(picture["targets"][0]), positions[:, 0], atol=0.006)
    assert torch.allclose(torch.tensor(picture["targets"][1]), 2 * positions[:, 1], atol=0.012)


def test_rounded_numbers_are_lists():
    assert rounded(torch.tensor([[1.23456, 2.0]]), 2) == [[1.23, 2.0]]


@needs_d4rl
@pytest.mark.parametrize("name", ["maze2d", "antmaze", "locomotion"])
def test_the_profiles_differ_in_size_and_each_trial_is_there_once(name):
    study = load_study(name)
    smoke, quick, full = (study.trials(profile) for profile in PROFILES)
    for trials in (smoke, quick, full):
        assert len({trial.identity for trial in trials}) == len(trials)
        assert all(trial.every_iteration for trial in trials)
    # The paper: D = 15, M = 32, and 600 epochs of the behavior model.
    for trial in full:
        assert trial.agent.behavior.solver.steps == 15 and trial.agent.num_candidates == 32
        assert trial.agent.behavior.training.gradient_steps == 586_000
    assert smoke[0].agent.critic.training.gradient_steps < quick[0].agent.critic.training.gradient_steps
