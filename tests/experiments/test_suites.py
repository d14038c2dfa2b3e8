"""What stands in the suites, and what is measured there, against what it should be."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from small_methods import SMALL, fitted

from sfbc_core import CriticConfig, QCritic, SfBC, Trajectories, load_task
from sfbc_core.experiments import Trial, measurements, timing
from sfbc_core.experiments.measurements import (
    learned_values,
    mean_cosine,
    planned_returns_in_the_maze,
    reach_of_candidates,
    residual,
    rounded,
    seconds_of_decisions,
)
from sfbc_core.experiments.paper import paper_config
from sfbc_core.experiments.profiles import PROFILES
from sfbc_core.experiments.settings import HORIZON, METHOD_CONFIGS, method_config
from sfbc_core.experiments.suites import SUITES, each_iteration, suite_named
from sfbc_core.methods import BCConfig, IQLConfig, TD3BCConfig, VEMConfig
from sfbc_core.planning import discounted_returns
from sfbc_core.tasks import task_names

needs_d4rl = pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is not installed")


def test_agreement_is_the_mean_cosine():
    reference = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    actions = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])  # 0°, 90°, 180°, and one without an angle
    assert mean_cosine(actions, reference) == pytest.approx(0.0)
    assert mean_cosine(actions[:1], reference[:1]) == pytest.approx(1.0)


def test_a_picture_pairs_positions_with_their_targets(tiny_sfbc, walk):
    agent, trial = SfBC(tiny_sfbc).fit(walk), Trial("toy-maze", tiny_sfbc, profile="smoke")
    agent.targets = [walk.observations[:, 0].double(), 2 * walk.observations[:, 1].double()]
    picture = planned_returns_in_the_maze(trial, agent, load_task("toy-maze"), walk)
    assert len(picture["positions"]) == len(walk), "no more than there are"
    positions = torch.tensor(picture["positions"])
    assert torch.allclose(torch.tensor(picture["targets"][0]), positions[:, 0], atol=0.006)
    assert torch.allclose(torch.tensor(picture["targets"][1]), 2 * positions[:, 1], atol=0.012)


def test_a_loaded_agent_gives_the_same_picture(tiny_sfbc, walk, tmp_path):
    agent, trial = SfBC(tiny_sfbc).fit(walk), Trial("toy-maze", tiny_sfbc, profile="smoke")
    agent.save(tmp_path)
    pictures = [
        planned_returns_in_the_maze(trial, one, load_task("toy-maze"), walk) for one in (agent, SfBC.load(tmp_path))
    ]
    assert pictures[0] == pictures[1] and len(pictures[0]["targets"]) == 3


def test_the_residual_is_in_units_of_reward():
    critic = QCritic(CriticConfig())
    critic.history, critic.scale = [9.0] * 5 + [0.25] * 10, 8.0
    assert residual(critic) == 4.0


def test_reach_is_measured_from_the_middle_of_the_bounds(tiny_sfbc, walk):
    """Bounds of 0 to 4: data that reach 1 and 3.5 by turns; candidates from 2 on in steps of 0.4."""
    rows = torch.arange(len(walk)) % 2 == 0
    actions = torch.where(rows[:, None], torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 3.5]]))
    columns = dict(walk.tensors(), actions=actions)
    data = Trajectories(**columns, action_low=0.0, action_high=4.0)

    class Ladder:
        def sample(self, states, n, generator):
            return (2 + 0.4 * torch.arange(float(n)))[None, :, None].expand(len(states), n, 2)

    agent = SfBC(tiny_sfbc)
    agent.behavior = Ladder()
    found = reach_of_candidates(Trial("toy-maze", tiny_sfbc, profile="smoke"), agent, load_task("toy-maze"), data)
    assert found["data"] == pytest.approx(0.625)
    assert found["candidate"] == 0.0 and found["best"] == pytest.approx(0.8), "five candidates: the last at 3.6"


def test_every_variant_and_number_of_environments_is_timed(tiny_sfbc, walk, monkeypatch):
    """A clock by which a decision takes as many seconds as there are environments, and twice as long at first."""
    agent, now, slow = SfBC(tiny_sfbc).fit(walk), [0.0], [2.0]

    def act(self, observations, generator=None):
        now[0] += slow[0] * len(observations)
        return torch.zeros(len(observations), 1)

    monkeypatch.setattr(SfBC, "act", act)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(measurements, "TIMED", 1)
    variants = {"K = 1": {"iteration": 1}, "all": {}}
    trial = Trial("toy-maze", tiny_sfbc, 1, variants, profile="smoke")
    found = seconds_of_decisions(trial, agent, load_task("toy-maze"), walk)
    assert found["variants"] == {"K = 1": 2.0, "all": 2.0}
    assert found["environments"] == {"1": 2.0, "4": 8.0, "16": 32.0, "64": 128.0}
    monkeypatch.setattr(measurements, "TIMED", 3)
    monkeypatch.setattr(SfBC, "act", lambda *rest: slow.__setitem__(0, 1.0) or act(*rest))
    assert seconds_of_decisions(trial, agent, load_task("toy-maze"), walk)["variants"]["all"] == 1.0


def test_rounded_numbers_are_lists():
    assert rounded(torch.tensor([[1.23456, 2.0]]), 2) == [[1.23, 2.0]]


def test_a_variant_for_each_iteration(tiny_sfbc):
    assert each_iteration(tiny_sfbc, "best", selection="greedy") == {
        f"best, K = {k}": {"iteration": k, "selection": "greedy"} for k in (1, 2, 3)
    }


def test_an_unknown_suite_is_refused():
    with pytest.raises(ValueError, match=r"unknown suite 'maze'; expected one of .*'maze2d'"):
        suite_named("maze")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("method", METHOD_CONFIGS)
def test_every_method_has_settings_for_every_task(method, profile):
    for task in task_names():
        config = method_config(method, task, profile, seed=3)
        Trial(task, config)  # a method that is known
        assert config.seed == 3


def test_the_full_profile_is_the_papers():
    for task in ("hopper-medium-v2", "antmaze-large-play-v2", "kitchen-mixed-v0", "bidirectional-car"):
        assert method_config("SfBC", task, "full", seed=1) == paper_config(task, 1)


@needs_d4rl
def test_the_horizons_are_the_time_limits_of_the_mazes():
    for maze, steps in HORIZON.items():
        assert load_task(f"{maze}-v1").make_env().max_episode_steps == steps


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match=r"unknown method 'PPO'; expected one of .*'SfBC'"):
        method_config("PPO", "toy-maze", "quick")
    with pytest.raises(ValueError, match="unknown task 'chess'"):
        method_config("SfBC", "chess", "quick")
    with pytest.raises(ValueError, match="got 'fast'"):
        method_config("BC", "toy-maze", "fast")


@needs_d4rl
@pytest.mark.parametrize("name", ["maze2d", "locomotion"])
def test_the_profiles_differ_in_size_and_each_trial_is_there_once(name):
    smoke, quick, full = (SUITES[name].trials(profile) for profile in PROFILES)
    for trials in (smoke, quick, full):
        assert len({trial.identity for trial in trials}) == len(trials)
        for trial in trials:  # every iteration is evaluated, in the configured way
            assert each_iteration(trial.method).items() <= dict(trial.variants).items()
    # The paper: D = 15, M = 32, and 600 epochs of the behavior model.
    for trial in full:
        assert trial.method.behavior.solver.steps == 15 and trial.method.num_candidates == 32
        assert trial.method.behavior.training.gradient_steps == 586_000
    assert smoke[0].method.critic.training.gradient_steps < quick[0].method.critic.training.gradient_steps


@pytest.mark.parametrize("profile", PROFILES)
def test_the_planning_rules_share_all_but_the_rule(profile):
    """Same data, same behavior model, same first critic: what differs is the rule."""
    trials = SUITES["toy-maze"].trials(profile)
    assert len({trial.identity for trial in trials}) == len(trials)
    for seed in {trial.seed for trial in trials}:
        same = [trial for trial in trials if trial.seed == seed]
        assert [trial.label for trial in same] == ["Eq. 12", "early maximum", "timeouts cut"]
        assert {trial.data_seed for trial in same} == {seed}
        plain = [replace(trial.method, max_on="next", timeout="bootstrap") for trial in same]
        assert plain[0] == same[0].method and plain[0] == plain[1] == plain[2]
        assert same[1].method.max_on == "current" and same[2].method.timeout == "cut"


def test_learned_values_are_those_of_the_mean_network_at_recorded_steps(walk):
    """With two Q that are linear in standardised states and scaled actions: what their mean says of all steps."""
    agent = fitted(SMALL[TD3BCConfig], walk)
    trial = Trial("toy-maze", agent.config, profile="smoke")
    inputs = walk.observation_dim + walk.action_dim
    members = [torch.nn.Linear(inputs, 1) for _ in range(2)]
    for i, member in enumerate(members):
        agent.nets["q"][i] = member
    seen = torch.cat([agent.nets.states(walk.observations), agent.nets.actions.scale(walk.actions)], 1)
    with torch.no_grad():
        expected = (sum(member(seen) for member in members) / 2)[:, 0]
    found = learned_values(trial, agent, load_task("toy-maze"), walk)
    assert found["largest"] == pytest.approx(expected.max().item(), abs=0.006), "each step is drawn many times"
    assert found["mean"] == pytest.approx(
        expected.mean().item(), abs=0.006 + 4 * expected.std().item() / 100
    )  # 4 errors
    assert expected.max() - expected.mean() > 0.1, "the answers are apart"
    assert found["recorded"] == pytest.approx(discounted_returns(walk, agent.config.discount).max().item(), abs=0.006)
    one = walk.replace(terminals=torch.zeros(len(walk)), timeouts=torch.arange(len(walk)) == len(walk) - 1)
    assert learned_values(trial, agent, load_task("toy-maze"), one)["recorded"] is None


def test_where_there_is_no_q_the_values_are_those_of_states(walk):
    agent = fitted(SMALL[VEMConfig], walk)
    members = [torch.nn.Linear(walk.observation_dim, 1) for _ in range(2)]
    for i, member in enumerate(members):
        agent.nets["v"][i] = member
    found = learned_values(Trial("toy-maze", agent.config, profile="smoke"), agent, load_task("toy-maze"), walk)
    with torch.no_grad():
        expected = (sum(member(agent.nets.states(walk.observations)) for member in members) / 2)[:, 0]
    assert found["of"] == "V" and found["largest"] == pytest.approx(expected.max().item(), abs=0.006)
    four_errors = 4 * expected.std().item() / 100
    assert found["mean"] == pytest.approx(expected.mean().item(), abs=0.006 + four_errors)


def test_there_are_no_learned_values_without_a_network_in_units_of_reward(walk):
    for config in (SMALL[BCConfig], replace(SMALL[IQLConfig], rewards="minus_one")):
        trial = Trial("toy-maze", config, profile="smoke")
        assert learned_values(trial, fitted(config, walk), load_task("toy-maze"), walk) is None


@pytest.mark.parametrize("method", ["BCQ", "CQL", "TD3+BC", "Diffusion-QL", "EMaQ", "IDQL", "IQL, as in locomotion"])
def test_on_the_hopper_all_that_bootstrap_have_the_rates_of_their_defaults(method):
    small, car = (method_config(method, task, "quick") for task in ("hopper-medium-v2", "bidirectional-car"))
    default = type(small)()
    assert small.training.learning_rate == default.training.learning_rate
    for name in ("target_rate", "policy_rate", "policy_learning_rate"):
        assert getattr(small, name, None) == getattr(default, name, None), name
    assert car.target_rate == 0.2 != default.target_rate


@pytest.mark.parametrize("profile", ["smoke", "quick"])
def test_rates_in_the_mazes_are_slower_for_those_that_ask_q_for_their_own_actions(profile):
    rates = {m: method_config(m, "regen/maze2d-umaze-v1", profile).target_rate for m in ("TD3+BC", "EMaQ", "IDQL")}
    assert rates == {"TD3+BC": 0.05, "EMaQ": 0.05, "IDQL": 0.2}


def test_emaq_draws_fewer_candidates_in_the_simulators_and_vem_plans_less_often_on_the_hopper():
    for task, candidates, every in (
        ("regen/maze2d-umaze-v1", 4, 100),
        ("regen/hopper-medium-v2", 4, 500),
        ("toy-maze", 16, 100),
    ):
        emaq, vem = (method_config(method, task, "quick") for method in ("EMaQ", "VEM, τ = 0.9"))
        assert (emaq.num_candidates, emaq.members, vem.plan_every) == (candidates, 4 if candidates == 4 else 2, every)


@pytest.mark.parametrize("method", ["BC", "AWR", "TD3+BC", "IQL, as in locomotion"])
def test_at_full_a_method_has_its_defaults(method):
    config = method_config(method, "hopper-medium-v2", "full", seed=3)
    assert config == replace(type(config)(), seed=3, **({"rewards": "return_range"} if "IQL" in method else {}))


def test_in_the_simulators_two_methods_are_tried_without_their_choice_of_the_best():
    for profile in ("smoke", "quick"):
        ways = {t.label: dict(t.variants) for t in SUITES["simulators"].trials(profile) if len(t.variants) > 1}
        assert set(ways) == {"IDQL", "EMaQ", "Diffusion-QL"}
        assert ways["EMaQ"] == {"as configured": {}, "one candidate": {"num_candidates": 1}} == ways["Diffusion-QL"]
