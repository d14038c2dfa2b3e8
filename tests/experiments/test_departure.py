"""What is said of an agent that leaves the data, against cases that are plain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfbc_core import evaluate, load_task
from sfbc_core.experiments.departure import Watched, endings, push_of_the_best, shares_by_step, upright


def test_an_ant_is_upright_or_on_its_back():
    def turned(angle: float, axis: int) -> np.ndarray:
        """An observation whose torso is turned about x, y or z."""
        observation = np.zeros(29)
        observation[3], observation[4 + axis] = np.cos(angle / 2), np.sin(angle / 2)
        return observation

    stands = [turned(0.0, 0), turned(np.pi, 2), turned(1.5, 0), turned(-1.5, 1)]
    lies = [turned(np.pi, 0), turned(np.pi, 1), turned(1.7, 1)]
    assert upright(np.stack(stands + lies)).tolist() == [True] * 4 + [False] * 3


def test_each_ant_ends_in_one_way():
    """Upright or not, who has arrived has arrived."""
    stands, lies = np.zeros(29), np.zeros(29)
    stands[3], lies[4] = 1.0, 1.0
    last = np.stack([stands, lies, stands, lies, lies, stands])
    found = endings(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 1.0]), last)
    assert found == {"arrived": 3, "on its back": 2, "elsewhere": 1}


def test_every_so_many_steps_are_seen_and_nothing_is_changed():
    class Rule:
        def act(self, observations, generator=None):
            return torch.cat([torch.rand(1, 2, generator=one) * 2 - 1 for one in generator])

    task, watched = load_task("toy-maze"), Watched(Rule(), every=7)
    seen, plain = (evaluate(agent, task, 3, seed=1, max_steps=20) for agent in (watched, Rule()))
    assert np.array_equal(seen.final_observations, plain.final_observations)
    assert [step for step, _ in watched.seen] == [0] * 3 + [7] * 3 + [14] * 3
    assert all(one.shape == (2,) for _, one in watched.seen)


def test_shares_are_of_the_episodes_that_still_run():
    at = np.array([0, 0, 0, 0, 25, 25, 50])
    far = np.array([False, False, False, True, True, False, True])
    assert shares_by_step(at, far) == [0.25, 0.5, 1.0]


def test_the_push_is_where_the_best_lies_among_the_others():
    """Q rises along the first coordinate: of 0, 1, …, 8 the best lies 4 / 2.582 deviations from the mean."""
    ladder = torch.arange(9.0)
    candidates = torch.stack([ladder, torch.ones(9)], dim=1).expand(5, 9, 2)
    assert push_of_the_best(candidates, ladder.expand(5, 9)) == pytest.approx([4 / (60 / 9) ** 0.5, 0.0], abs=1e-3)


def test_a_choice_without_a_look_moves_by_chance_alone():
    generator = torch.Generator().manual_seed(0)
    candidates, q = torch.randn(4_000, 32, 3, generator=generator), torch.randn(4_000, 32, generator=generator)
    for of in push_of_the_best(candidates, q):  # the square of a standardised draw: mean 1, deviation about 1.4
        assert of**2 == pytest.approx(1.0, abs=4 * 1.4 / 4_000**0.5)
