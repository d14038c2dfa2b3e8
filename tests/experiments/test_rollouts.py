"""Candidates tried in their state: on a line where everything that is earned is known."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from sfbc_core import SfBC, Trajectories
from sfbc_core.experiments import rollouts
from sfbc_core.experiments.rollouts import Place, earnings, order_of_candidates, places, summary_of_order
from sfbc_core.experiments.trial import Trial

STEPS = 6


class Line(gymnasium.Env):
    """A point that an action moves, and that earns where it is: for six steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, luck: float = 0.0) -> None:
        self.luck = luck

    def reset(self, *, seed=None, options=None):
        self.x, self.t = np.random.default_rng(seed).uniform(-1, 1) + self.luck * np.random.default_rng().uniform(), 0
        return np.array([self.x, self.t]), {}

    def step(self, action):
        self.x, self.t = self.x + float(action[0]), self.t + 1
        return np.array([self.x, self.t]), self.x, False, self.t == STEPS, {}


class Follows:
    """Goes a fixed way, or one drawn at each step."""

    def __init__(self, drawn: bool = False) -> None:
        self.drawn = drawn

    def act(self, observations, generators):
        if not self.drawn:
            return torch.full((len(observations), 1), 0.25)
        return torch.stack([torch.randn(1, generator=generator) for generator in generators])


LINE = SimpleNamespace(make_env=Line)


def test_what_is_earned_after_a_first_action_is_what_the_sum_says():
    place = Place(3, np.zeros((2, 1), np.float32), np.array([Line().reset(seed=3)[0][0], 2.0]))
    first = torch.tensor([[0.5], [-1.0], [0.0]])
    found = earnings(Follows(), [Line() for _ in range(6)], place, first, discount=0.9, seed=0)
    start = place.observation[0]
    expected = [sum(0.9**k * (start + a + 0.25 * k) for k in range(STEPS - 2)) for a in (0.5, -1.0, 0.0)]
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-6)


def test_a_rollout_draws_the_same_after_each_first_action_and_another_draws_anew():
    place = Place(3, np.zeros((0, 1), np.float32), Line().reset(seed=3)[0])
    first = torch.tensor([[0.5], [0.5], [-0.5]])
    found = earnings(Follows(drawn=True), [Line() for _ in range(12)], place, first, discount=1.0, seed=0)
    assert found.shape == (4, 3) and np.array_equal(found[:, 0], found[:, 1])
    np.testing.assert_allclose(found[:, 0] - found[:, 2], STEPS)  # what a first action of one more is worth
    assert len(set(found[:, 0].tolist())) == 4


def test_places_are_moments_of_episodes_to_which_one_can_return():
    found = places(Follows(drawn=True), LINE, 40, seed=5)
    moments = [len(place.actions) for place in found]
    assert set(moments) == set(range(STEPS)), "all of them come up in 40 draws, but for one time in 200"
    for place in found:
        assert np.array_equal(place.come_again(Line()), place.observation)
    again = places(Follows(drawn=True), LINE, 40, seed=5)
    assert [place.observation.tolist() for place in again] == [place.observation.tolist() for place in found]


@pytest.mark.usefixtures("untyped")
def test_an_environment_that_does_not_repeat_itself_is_refused():
    place = Place(3, np.zeros((1, 1), np.float32), np.array([0.25, 1.0]))
    with pytest.raises(ValueError, match=r"expected to come to \[0.25 1.  \] again, got "):
        place.come_again(Line(luck=1.0))
    with pytest.raises(ValueError, match="expected a multiple of 2 environments, one for each first action, got 3"):
        earnings(Follows(), [Line()] * 3, place, torch.zeros(2, 1), 0.9, 0)


@pytest.mark.usefixtures("untyped")  # for a task that is none of the registry's
def test_an_agents_candidates_are_tried_and_their_q_stands_beside(tiny_sfbc, generator, monkeypatch):
    monkeypatch.setitem(rollouts.SIZES, "smoke", (3, 4, 2))
    n = 10 * STEPS
    data = Trajectories(
        torch.randn(n, 2, generator=generator),
        torch.rand(n, 1, generator=generator) * 2 - 1,
        torch.randn(n, generator=generator),
        torch.zeros(n),
        torch.arange(n) % STEPS == STEPS - 1,
    )
    agent = SfBC(tiny_sfbc).fit(data)
    asked = []

    def seen(follower, envs, place, first, *rest):
        asked.append((follower, place, first, earnings(follower, envs, place, first, *rest)))
        return asked[-1][-1]

    monkeypatch.setattr(rollouts, "earnings", seen)
    found = order_of_candidates(Trial("toy-maze", agent.config, profile="smoke"), agent, LINE, data)
    assert len(found) == len(asked) == 3
    for entry, (follower, place, first, earned) in zip(found, asked, strict=True):
        assert (follower.config.selection, follower.config.alpha) == ("sample", 20.0)
        state = torch.from_numpy(place.observation).float()[None]
        np.testing.assert_allclose(entry["promised"], agent.critic.q(state, first[None])[0], atol=1e-4)
        assert earned.shape == (2, 4) and earned.std() > 0.1
        np.testing.assert_allclose(entry["earned"], earned.mean(0), atol=1e-5)
        np.testing.assert_allclose(entry["error"], np.abs(earned[0] - earned[1]) / 2, atol=1e-5)  # of two, by hand
        assert entry["position"] == place.observation[:2].round(2).tolist()


def test_the_summary_of_the_order_worked_by_hand():
    one = {"promised": [1.0, 2.0, 4.0], "earned": [0.0, 1.0, 2.0], "error": [0.5, 0.5, 0.5]}  # the same order
    other = {"promised": [1.0, 2.0, 0.0], "earned": [0.0, 0.0, 3.0], "error": [0.5, 0.5, 0.5]}  # the best is the worst
    flat = {
        "promised": [1.0, 2.0, 3.0],
        "earned": [1.0, 1.0, 1.0],
        "error": [0.0, 0.0, 0.0],
    }  # no order to be right about
    found = summary_of_order([one, other, flat])
    # Ranks of `other`: (2, 3, 1) and (1.5, 1.5, 3), whose correlation is -√3/2.
    low = -(3**0.5) / 2
    assert found["rank correlation"] == pytest.approx((1 + low) / 2)
    assert found["error"] == pytest.approx((1 - low) / 2)  # of two numbers: half of their difference
    assert found["promised gain"] == pytest.approx((5 / 3 + 1 + 1) / 3)
    assert found["earned gain"] == pytest.approx((1 - 1 + 0) / 3)
    assert found["gain error"] == pytest.approx(1 / 3**0.5)
    assert found["not chance"] == pytest.approx(1 - (0.25 + 0.25) / (1 + 3))


def test_errors_that_explain_all_there_is_leave_nothing(generator):
    """Candidates that are all alike, each tried four times: what they earn differs by chance alone."""
    tries = torch.randn(400, 4, 16, generator=generator, dtype=torch.float64).numpy()
    places = [
        {
            "promised": list(range(16)),
            "earned": of.mean(0).tolist(),
            "error": (of.std(0, ddof=1) / 2).tolist(),
        }
        for of in tries
    ]
    found = summary_of_order(places)
    # 6000 degrees of freedom of the variance, 19,200 of the errors: a relative deviation of about 0.021.
    assert abs(found["not chance"]) < 4 * 0.021
    assert abs(found["rank correlation"]) < 4 * found["error"] and abs(found["earned gain"]) < 4 * found["gain error"]
