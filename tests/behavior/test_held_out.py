"""The loss of held-out transitions along a training: what it is, and that it changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfbc_core import (
    DiffusionBehavior,
    DiffusionConfig,
    GaussianBehavior,
    GaussianConfig,
    ScoreNetworkConfig,
    SfBC,
    SfBCConfig,
    TrainingConfig,
    Trajectories,
    VAEBehavior,
    VAEConfig,
)
from sfbc_core.behavior import FlowMatchingBehavior, FlowMatchingConfig, base
from sfbc_core.randomness import make_generator

BRIEF = TrainingConfig(gradient_steps=28, batch_size=32, learning_rate=1e-3, checkpoint_every=10, log_every=7)
KINDS = {
    "diffusion": lambda tiny: DiffusionBehavior(replace(tiny, training=BRIEF)),
    "gaussian": lambda tiny: GaussianBehavior(GaussianConfig(hidden=16, layers=2, training=BRIEF)),
    "vae": lambda tiny: VAEBehavior(VAEConfig(hidden=16, training=BRIEF)),
    "flow matching": lambda tiny: FlowMatchingBehavior(FlowMatchingConfig(tiny.network, training=BRIEF)),
}


@pytest.fixture(params=KINDS)
def model(request, tiny_diffusion):
    return KINDS[request.param](tiny_diffusion)


@pytest.fixture
def parts(walk):
    first = torch.arange(len(walk.episode_ends)) < 15
    return walk.select_episodes(first), walk.select_episodes(~first)


def test_an_entry_is_the_loss_before_the_last_step_of_its_interval(model, parts):
    data, held_out = parts
    model.fit(data, held_out=held_out)
    assert len(model.held_out_history) == len(model.history) == 4
    earlier = type(model)(replace(model.config, training=replace(BRIEF, gradient_steps=27))).fit(data)
    rows = torch.randperm(len(held_out), generator=make_generator(0, "held out"))
    states = earlier.standardizer(held_out.observations[rows])
    actions = earlier.scaler.scale(held_out.actions[rows])
    with torch.no_grad():
        loss = earlier.loss(states, actions, make_generator(0, "judged")).mean().item()
    assert model.held_out_history[-1] == pytest.approx(loss, rel=1e-6)


def test_the_training_does_not_notice(model, parts, tiny_diffusion):
    data, held_out = parts
    other = type(model)(model.config).fit(data)
    model.fit(data, held_out=held_out)
    assert model.history == other.history and other.held_out_history == []
    for name, tensor in other.network.state_dict().items():
        assert torch.equal(tensor, model.network.state_dict()[name])


def test_it_is_kept_with_the_model_and_by_a_training_that_was_killed(model, parts, tmp_path, monkeypatch):
    data, held_out = parts
    whole = type(model)(model.config).fit(data, held_out=held_out).held_out_history
    assert (
        type(model)(model.config).load_tensors(model.fit(data, held_out=held_out).tensors()).held_out_history == whole
    )

    class Killed(Exception):
        pass

    stopped, calls = type(model)(model.config), iter(range(100))
    loss = stopped.loss

    def loss_until_killed(*arguments):
        if next(calls) == 17:
            raise Killed
        return loss(*arguments)

    monkeypatch.setattr(stopped, "loss", loss_until_killed)
    with pytest.raises(Killed):
        stopped.fit(data, held_out=held_out, checkpoint=tmp_path / "checkpoint")
    again = type(model)(model.config).fit(data, held_out=held_out, checkpoint=tmp_path / "checkpoint")
    assert again.held_out_history == whole


def test_it_rises_where_a_model_learns_by_heart(generator):
    """Twenty random pairs that nothing connects: what a network makes of them says nothing of twenty others."""

    def pairs() -> Trajectories:
        one = torch.ones(20, dtype=torch.bool)
        actions = torch.rand(20, 1, generator=generator) * 1.6 - 0.8
        return Trajectories(torch.randn(20, 6, generator=generator), actions, torch.zeros(20), one, ~one)

    training = TrainingConfig(gradient_steps=1_000, batch_size=64, learning_rate=3e-3, log_every=50)
    config = DiffusionConfig(ScoreNetworkConfig.small(), training=training)
    model = DiffusionBehavior(config).fit(pairs(), held_out=pairs())
    assert model.history[-1] < 0.5 * model.history[0]
    assert model.held_out_history[-1] > 1.5 * min(model.held_out_history)


def test_only_so_many_rows_are_judged(parts, tiny_diffusion, monkeypatch):
    seen = []
    model = DiffusionBehavior(replace(tiny_diffusion, training=BRIEF))
    loss = model.loss
    monkeypatch.setattr(base, "JUDGED_ROWS", 11)
    monkeypatch.setattr(model, "loss", lambda *given: seen.append(len(given[0])) or loss(*given))
    model.fit(parts[0], held_out=parts[1])
    assert seen.count(11) == 4 and seen.count(32) == 28


@pytest.mark.usefixtures("untyped")
def test_data_of_other_dimensions_are_refused(model, walk, parts):
    wide = Trajectories(**(walk.tensors() | {"observations": torch.zeros(len(walk), 5)}))
    with pytest.raises(ValueError, match=r"expected held-out data of dimensions \(3, 2\), got \(5, 2\)"):
        model.fit(parts[0], held_out=wide)


def test_an_agent_keeps_episodes_aside_for_its_behavior_model_alone(tiny_sfbc, walk):
    agent = SfBC(replace(tiny_sfbc, held_out_share=0.25))
    learned_from, held_out = agent.split(walk)
    assert (len(learned_from.episode_ends), len(held_out.episode_ends)) == (15, 5)
    together = torch.cat([learned_from.observations, held_out.observations])
    assert {tuple(row) for row in together.tolist()} == {tuple(row) for row in walk.observations.tolist()}
    assert torch.equal(agent.split(walk)[1].actions, held_out.actions)
    other = SfBC(replace(tiny_sfbc, held_out_share=0.25, seed=4)).split(walk)[1]
    assert not torch.equal(other.observations, held_out.observations)

    agent.fit(walk)
    alone = DiffusionBehavior(tiny_sfbc.behavior, tiny_sfbc.seed).fit(learned_from, held_out=held_out)
    assert agent.behavior.held_out_history == alone.held_out_history != []
    assert agent.behavior.history == alone.history
    assert len(agent.targets[0]) == len(walk)  # Q learns from all


def test_an_agent_keeps_nothing_aside_by_default(tiny_sfbc, walk):
    assert SfBC(tiny_sfbc).split(walk) == (walk, None)


@pytest.mark.usefixtures("untyped")
def test_impossible_shares_are_refused(tiny_sfbc, walk):
    with pytest.raises(ValueError, match="held_out_share must be below 1, got 1: μ learns"):
        SfBCConfig(held_out_share=1.0)
    with pytest.raises(ValueError, match=r"held_out_share must lie in \[0, 1\], got -0.1"):
        SfBCConfig(held_out_share=-0.1)
    one = walk.select_episodes(torch.arange(20) == 3)
    with pytest.raises(ValueError, match=r"held_out_share = 0.5 needs 2 episodes or more, got 1"):
        SfBC(replace(tiny_sfbc, held_out_share=0.5)).fit(one)
