"""The agent: what it learns from, what it stores, and that a killed run ends as an undisturbed one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfbc_core import (
    CriticConfig,
    DiffusionBehavior,
    DiffusionConfig,
    GaussianConfig,
    ScoreNetworkConfig,
    SfBC,
    SfBCConfig,
    SolverConfig,
    TrainingConfig,
    Trajectories,
    VAEConfig,
    discounted_returns,
    planned_returns,
    soft_value,
)
from sfbc_core.behavior import DistilledConfig, FlowMatchingConfig
from sfbc_core.configuration import config_from_json, config_to_json
from sfbc_core.files import join_parts, load_tensors, save_tensors
from sfbc_core.methods import METHODS
from sfbc_core.methods.base import AGENT_FILE
from sfbc_core.planning import unknown_share
from sfbc_core.randomness import make_generator

TINY = TrainingConfig(gradient_steps=5, batch_size=16)


def weights_of(agent: SfBC) -> dict[str, torch.Tensor]:
    return join_parts({name: model.tensors() for name, model in agent.models().items()})


def assert_same_weights(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.fixture
def agent(tiny_sfbc, walk) -> SfBC:
    return SfBC(tiny_sfbc).fit(walk)


def test_targets_are_the_planned_returns_of_the_last_critic(tiny_sfbc, walk):
    """K = 2 by hand: returns, one critic, its soft values on 4 candidates, planned returns."""
    config = replace(tiny_sfbc, planning_iterations=2)
    two = SfBC(config).fit(walk)
    one = SfBC(replace(config, planning_iterations=1)).fit(walk)
    assert len(one.targets) == 1 and len(two.targets) == 2
    assert torch.equal(two.targets[0], discounted_returns(walk, config.discount))
    generator = make_generator(config.seed, "candidates")
    candidates = one.behavior.sample(walk.observations, config.value_candidates, generator)
    values = soft_value(one.critic.q(walk.observations, candidates), config.alpha / one.critic.scale)
    assert torch.equal(two.targets[1], planned_returns(walk, values, config.discount))


def test_a_plan_leaves_the_data_only_where_the_value_is_known(tiny_sfbc, walk):
    """With n = 3, V is computed at the states 0, 3, 6, … and after the cuts; elsewhere Eq. 12 follows the data."""
    config = replace(tiny_sfbc, planning_iterations=2, value_every=3)
    two = SfBC(config).fit(walk)
    assert walk.timeouts.any() and not walk.timeouts[::3].all(), "or the cuts would not be tested"
    rows = [n for n in range(len(walk)) if n % 3 == 0 or walk.timeouts[n]]
    one = two.acting(iteration=1)
    generator = make_generator(config.seed, "candidates")
    candidates = one.behavior.sample(walk.observations[rows], config.value_candidates, generator)
    values = torch.full((len(walk),), -torch.inf)
    values[rows] = soft_value(one.critic.q(walk.observations[rows], candidates), config.alpha / one.critic.scale)
    assert torch.equal(two.targets[1], planned_returns(walk, values, config.discount))
    assert torch.isfinite(two.targets[1]).all()


def test_the_first_critic_can_learn_from_known_returns_only(tiny_sfbc, walk):
    """A reward of 1 a step for ever is worth 1 / (1 - γ) = 5. Cut recordings make it less; the known returns do not."""
    ones = torch.ones(len(walk))
    cuts = torch.arange(len(walk)) % 60 == 59
    steady = Trajectories(walk.observations, walk.actions, ones, torch.zeros_like(cuts), cuts)
    training = TrainingConfig(gradient_steps=300, batch_size=64, learning_rate=1e-2)
    config = replace(
        tiny_sfbc, planning_iterations=1, discount=0.8, critic=CriticConfig(hidden=(16, 16), training=training)
    )
    q = {
        share: SfBC(replace(config, unknown_share=share)).fit(steady).critic.q(walk.observations, walk.actions[:, None])
        for share in (1.0, 0.01)
    }
    torch.testing.assert_close(q[0.01], torch.full_like(q[0.01], 5.0), atol=0.1, rtol=0)
    assert q[1.0].mean() == pytest.approx(float(discounted_returns(steady, 0.8).mean()), abs=0.1)
    assert q[1.0].mean() < 4.8, "or the cuts would not matter here"


def test_only_the_first_critic_leaves_returns_out(tiny_sfbc, walk):
    """The offset of a critic is the mean of the targets that it learned from."""
    agent = SfBC(replace(tiny_sfbc, planning_iterations=2, discount=0.8, unknown_share=0.1)).fit(walk)
    known = unknown_share(walk, 0.8) <= 0.1
    assert 0 < known.sum() < len(walk)
    assert agent.critics[0].offset == float(agent.targets[0][known].double().mean())
    assert agent.critics[1].offset == float(agent.targets[1].double().mean())


def test_it_is_said_where_no_return_is_known_well_enough(tiny_sfbc, walk):
    with pytest.raises(
        ValueError, match=r"lack at most 0\.001 of the future.*a larger unknown_share, or a discount below"
    ):
        SfBC(replace(tiny_sfbc, discount=1.0, unknown_share=0.001)).fit(
            Trajectories(
                walk.observations,
                walk.actions,
                walk.rewards,
                torch.zeros_like(walk.terminals),
                walk.timeouts | walk.terminals,
            )
        )


def test_an_agent_at_an_iteration_is_the_agent_of_so_many(tiny_sfbc, walk, tmp_path):
    three = SfBC(replace(tiny_sfbc, planning_iterations=3)).fit(walk)
    three.save(tmp_path / "agent")
    loaded = SfBC.load(tmp_path / "agent")
    for k in (1, 2, 3):
        alone = SfBC(replace(tiny_sfbc, planning_iterations=k)).fit(walk)
        for agent in (three, loaded):  # all critics are saved
            at = agent.acting(iteration=k)
            assert at.config == alone.config
            assert_same_weights(weights_of(at), weights_of(alone))
            first, second = (one.act(walk.observations[:5], torch.Generator().manual_seed(1)) for one in (at, alone))
            assert torch.equal(first, second)
        assert len(three.acting(iteration=k).targets) == k
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"iteration must lie between 1 and 3, got {k}"):
            three.acting(iteration=k)


def test_a_loaded_agent_can_plan_again(agent, walk, tmp_path):
    agent.save(tmp_path)
    again = list(SfBC.load(tmp_path).plan(walk))
    assert len(again) == 3 and all(torch.equal(a, b) for a, b in zip(again, agent.targets, strict=True))


def test_the_same_models_can_select_in_another_way(agent, walk):
    states = walk.observations[:7]
    other = agent.acting(selection="mean_of_best", averaged=2, num_candidates=9)
    assert (other.config.num_candidates, agent.config.selection) == (9, "greedy")
    candidates, q = other.candidates(states, generator=torch.Generator().manual_seed(2))
    best = q.topk(2, dim=1).indices
    expected = candidates[torch.arange(7)[:, None], best].mean(1)
    torch.testing.assert_close(other.act(states, torch.Generator().manual_seed(2)), expected)
    with pytest.raises(ValueError, match=r"fields that decide how SfBC acts.*got \['seed'\]"):
        agent.acting(seed=3)
    with pytest.raises(ValueError, match="num_candidates must be at least 1, got 0"):
        agent.acting(num_candidates=0)


def test_the_same_models_can_be_drawn_from_by_another_solver(agent, walk, untyped):
    states, configured = walk.observations[:5], agent.config.behavior.solver
    for solver, expected in (
        ("published", SolverConfig(7)),
        ("respaced", SolverConfig(7, spacing="log_snr")),
        ("accurate", SolverConfig.accurate(7)),
    ):
        other = agent.acting(solver=solver, solver_steps=7)
        assert other.config.behavior.solver == expected and other.behavior.network is agent.behavior.network
        by_hand = agent.behavior.with_solver(expected).sample(states, 4, torch.Generator().manual_seed(1))
        drawn, _ = other.candidates(states, 4, torch.Generator().manual_seed(1))
        assert torch.equal(drawn, by_hand)
    assert agent.acting(solver_steps=9).config.behavior.solver == replace(configured, steps=9)
    assert agent.acting(solver="accurate").config.behavior.solver == SolverConfig.accurate(configured.steps)
    assert agent.config.behavior.solver == configured
    with pytest.raises(ValueError, match="solver must be one of"):
        agent.acting(solver="heun")
    with pytest.raises(TypeError, match="solver_steps must be an int or None"):
        agent.acting(solver_steps="7")


def test_a_flow_can_be_drawn_from_in_other_steps(tiny_sfbc, walk):
    agent = SfBC(replace(tiny_sfbc, behavior=FlowMatchingConfig(ScoreNetworkConfig.small(), training=TINY))).fit(walk)
    other = agent.acting(solver_steps=3)
    assert other.config.behavior.steps == 3 and agent.config.behavior.steps == 15
    assert other.behavior.network is agent.behavior.network
    drawn, _ = other.candidates(walk.observations[:5], 4, torch.Generator().manual_seed(1))
    by_hand = agent.behavior.with_steps(3).sample(walk.observations[:5], 4, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, by_hand)
    with pytest.raises(ValueError, match="of a diffusion model, got them for a FlowMatchingBehavior"):
        agent.acting(solver="published", solver_steps=3)


@pytest.mark.parametrize("behavior", [GaussianConfig(), DistilledConfig()])
def test_a_solver_is_refused_where_nothing_is_solved(tiny_sfbc, behavior):
    agent = SfBC(replace(tiny_sfbc, behavior=behavior))
    with pytest.raises(ValueError, match="of a diffusion model, got them for a"):
        agent.acting(solver_steps=5)


def test_acting_is_batched_bounded_and_repeatable(agent, walk):
    first = agent.act(walk.observations[:9], torch.Generator().manual_seed(0))
    again = agent.act(walk.observations[:9], torch.Generator().manual_seed(0))
    assert first.shape == (9, 2) and torch.equal(first, again)
    assert first.abs().max() <= 1


def test_the_selected_action_is_a_candidate_of_highest_q(agent, walk):
    actions, q = agent.candidates(walk.observations[:9], generator=torch.Generator().manual_seed(4))
    assert actions.shape == (9, 5, 2) and q.shape == (9, 5)
    chosen = agent.act(walk.observations[:9], torch.Generator().manual_seed(4))
    assert torch.equal(chosen, actions[torch.arange(9), q.argmax(1)])


@pytest.mark.parametrize(
    "behavior",
    [
        GaussianConfig(hidden=8, training=TINY),
        VAEConfig(hidden=8, training=TINY),
        FlowMatchingConfig(ScoreNetworkConfig(widths=(8,)), steps=2, training=TINY),
        DistilledConfig(DiffusionConfig(ScoreNetworkConfig(widths=(8,)), training=TINY), hidden=(8,)),
    ],
)
@pytest.mark.parametrize("selection", ["sample", "greedy", "mean_of_best", "mean_of_sample"])
def test_every_variant_fits_saves_and_acts(tiny_sfbc, walk, tmp_path, behavior, selection):
    config = replace(tiny_sfbc, behavior=behavior, selection=selection)
    agent = SfBC(config).fit(walk)
    agent.save(tmp_path / "agent")
    loaded = SfBC.load(tmp_path / "agent")
    assert loaded.config == config
    assert_same_weights(weights_of(agent), weights_of(loaded))

    def act(one):
        return one.act(walk.observations, torch.Generator().manual_seed(1))

    assert torch.equal(act(agent), act(loaded))


@pytest.mark.usefixtures("untyped")
def test_unfitted_agents_and_bad_configs_are_refused(tmp_path, walk):
    with pytest.raises(RuntimeError, match=r"not fitted yet: call fit\(trajectories\) first"):
        SfBC().act(walk.observations)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        SfBC().save(tmp_path / "agent")
    with pytest.raises(ValueError, match="planning_iterations must be at least 1, got 0"):
        SfBCConfig(planning_iterations=0)
    for options, message in (
        ({"alpha": -1.0}, "alpha must be finite and >= 0, got -1"),
        ({"discount": 3.0}, r"discount must lie in \[0, 1\], got 3"),
        ({"unknown_share": -0.1}, r"unknown_share must lie in \[0, 1\], got -0.1"),
        ({"selection": "best"}, "selection must be one of .*got 'best'"),
        ({"timeout": "drop"}, "timeout must be one of .*got 'drop'"),
        ({"selection": "mean_of_best", "averaged": 99}, "averaged must be at most the 32 candidates, got 99"),
        ({"selection": "mean_of_sample", "averaged": 99}, "averaged must be at most the 32 candidates, got 99"),
    ):
        with pytest.raises(ValueError, match=message):
            SfBCConfig(**options)
    with pytest.raises(ValueError, match="order must be 1, 2 or 3, got 7"):
        SolverConfig(order=7)
    with pytest.raises(ValueError, match="hidden must hold at least one width, all positive"):
        CriticConfig(hidden=())


def test_configs_survive_json(tiny_sfbc):
    for config in (SfBCConfig(), tiny_sfbc, replace(tiny_sfbc, behavior=VAEConfig(latent_clip=None))):
        assert config_from_json(json.loads(json.dumps(config_to_json(config))), *METHODS) == config
    with pytest.raises(TypeError, match="a config holds numbers, strings"):
        config_to_json({"a": object()})


def test_a_finished_run_is_not_trained_again(tiny_sfbc, walk, tmp_path, agent):
    stored = SfBC(tiny_sfbc).fit(walk, tmp_path)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = SfBC(tiny_sfbc).fit(walk, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    assert not any("partial" in name for name in files)
    for run in (stored, again):
        assert_same_weights(weights_of(agent), weights_of(run))


RUN = """
import sys, torch
from pathlib import Path
from sfbc_core import *
from sfbc_core.files import load_tensors, save_tensors
torch.set_num_threads(1)
folder = Path(sys.argv[1])
training = TrainingConfig(gradient_steps=400, batch_size=64, checkpoint_every=20, learning_rate=1e-3)
network = ScoreNetworkConfig(widths=(16, 8), embedding_dim=8, fourier_features=4)
behavior = DiffusionConfig(network=network, solver=SolverConfig(steps=4), training=training)
config = SfBCConfig(
    behavior=behavior, critic=CriticConfig(hidden=(16, 16), training=training),
    planning_iterations=2, value_candidates=4,
)
data = Trajectories(**load_tensors(folder / "data.safetensors"))
SfBC(config).fit(data, folder / "run").save(folder / "agent")
"""


def test_what_runs_have_in_common_is_learned_once(tiny_sfbc, walk, tmp_path, monkeypatch):
    learned = []
    fit, sample = DiffusionBehavior.fit, DiffusionBehavior.sample
    monkeypatch.setattr(
        DiffusionBehavior, "fit", lambda self, *rest, **more: learned.append("μ") or fit(self, *rest, **more)
    )
    monkeypatch.setattr(
        DiffusionBehavior, "sample", lambda self, *rest: learned.append("candidates") or sample(self, *rest)
    )
    other_critic = replace(tiny_sfbc, critic=replace(tiny_sfbc.critic, hidden=(8,)))
    shared = tmp_path / "shared"
    first = SfBC(tiny_sfbc).fit(walk, tmp_path / "first", shared_dir=shared)
    assert learned == ["μ", "candidates"]
    second = SfBC(other_critic).fit(walk, tmp_path / "second", shared_dir=shared)
    assert learned == ["μ", "candidates"], "another critic, the same behavior"
    alone = SfBC(other_critic).fit(walk)
    assert_same_weights(weights_of(second), weights_of(alone))
    assert_same_weights(first.behavior.tensors(), alone.behavior.tensors())
    del learned[:]
    changes = {
        "seed": {"seed": 5},
        "held out": {"held_out_share": 0.5},
        "model": {"behavior": replace(tiny_sfbc.behavior, standardize_states=False)},
        "rows": {"value_every": 2},
    }
    for name, change in changes.items():
        SfBC(replace(tiny_sfbc, **change)).fit(walk, tmp_path / name, shared_dir=shared)
        assert learned == (["candidates"] if name == "rows" else ["μ", "candidates"]), name
        del learned[:]
    SfBC(tiny_sfbc).fit(walk.replace(rewards=walk.rewards + 1), tmp_path / "data", shared_dir=shared)
    assert learned == ["μ", "candidates"], "other data"


def test_a_shared_folder_needs_a_run(tiny_sfbc, walk, tmp_path):
    with pytest.raises(ValueError, match="expected run_dir beside shared_dir"):
        SfBC(tiny_sfbc).fit(walk, shared_dir=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["behavior.partial", "candidates", "critic-1.partial"])
def test_a_run_killed_by_sigkill_ends_with_the_same_weights(tmp_path, walk, victim, monkeypatch):
    """SIGKILL as soon as a given file appears; then the same command again, against a run that was left alone."""
    save_tensors(tmp_path / "data.safetensors", walk.tensors())
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    process = subprocess.Popen(command)
    _wait_for(tmp_path / "run" / f"{victim}.safetensors", process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it finished before it was killed"
    assert not (tmp_path / "agent").exists()
    subprocess.run(command, check=True)
    resumed = load_tensors(tmp_path / "agent" / AGENT_FILE)
    (tmp_path / "undisturbed").mkdir()
    save_tensors(tmp_path / "undisturbed" / "data.safetensors", walk.tensors())
    monkeypatch.setattr(sys, "argv", ["run", str(tmp_path / "undisturbed")])
    exec(RUN, {})
    assert_same_weights(load_tensors(tmp_path / "undisturbed" / "agent" / AGENT_FILE), resumed)


def _wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600  # against a process that hangs
    while not path.exists():
        assert process.poll() is None, "the run ended before it wrote the file"
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.0005)
