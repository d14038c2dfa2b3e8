"""What holds for every method that is registered: a new one is tested here by adding a config of seconds to `SMALL`
in tests/support/small_methods.py.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from processes import Started, fit_stored, store_fit
from small_methods import EVERY, SMALL, TRAINING, fitted
from torch import nn

from sfbc_core import TrainingConfig, Trajectories
from sfbc_core.configuration import config_dataclass, config_from_json, config_to_json
from sfbc_core.evaluation import evaluate, start_policy
from sfbc_core.files import join_parts, load_tensors, save_tensors
from sfbc_core.methods import METHODS, GradientMethod, Method
from sfbc_core.methods.base import AGENT_FILE, method_named
from sfbc_core.methods.cloning import BCConfig
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.gradient import batch_of
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.methods.weighted_regression import WeightedRegressionConfig
from sfbc_core.networks import mlp


def weights(agent):
    return join_parts({name: model.tensors() for name, model in agent.models().items()})


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def generators(rows):
    return [torch.Generator().manual_seed(row) for row in range(rows)]


@EVERY
@pytest.mark.parametrize("power", [-30, 20])
def test_the_unit_of_observations_makes_no_difference(config, walk, power):
    """Observations times a power of two, which is exact: the same actions to the bit, for a coordinate that rests, too."""
    observations = walk.observations.clone()
    observations[:, 1] = 5.0
    one, other = (fitted(config, walk.replace(observations=unit * observations)) for unit in (1.0, 2.0**power))
    actions = [agent.act(unit * observations[:9], generators(9)) for agent, unit in ((one, 1.0), (other, 2.0**power))]
    assert torch.equal(*actions)


@EVERY
def test_far_from_the_origin_it_learns_and_acts_as_near_it(config, walk, tmp_path):
    """Positions around 1e8, whose float32 neighbors are 8 apart: in float64 the same actions to rounding, reloaded too."""
    far = walk.observations.double() + torch.tensor([1e8, 0.0, 0.0])
    with pytest.warns(UserWarning, match="observations are kept in float64: float32 cannot tell .* coordinate 0 apart"):
        data = walk.replace(observations=far)
    assert (
        data.observations.dtype is torch.float64
        and data.to("cpu").transitions().next_observations.dtype is torch.float64
    )
    one, other = fitted(config, walk), fitted(config, data, tmp_path / "run")
    other.save(tmp_path)
    loaded = Method.load(tmp_path)
    assert one.observation_dtype is torch.float32 and loaded.observation_dtype is torch.float64
    near = one.act(walk.observations[:9], generators(9))
    assert len(near.unique(dim=0)) > 1, "it tells states apart"
    for agent in (other, loaded):
        torch.testing.assert_close(agent.act(far[:9], generators(9)), near, atol=1e-4, rtol=0)


@pytest.mark.parametrize("power", [-20, 10])
@pytest.mark.parametrize("kind", [SfBCConfig, WeightedRegressionConfig, DecisionTransformerConfig])
def test_the_unit_of_rewards_makes_no_difference(kind, walk, power):
    """Rewards times a power of two. IQL is left out: its temperature is per unit of reward by definition."""
    config = SMALL[kind]
    if kind is not DecisionTransformerConfig:
        config = replace(config, critic=replace(config.critic, minimum_deviation=0.0))
    agents = [fitted(config, walk.replace(rewards=unit * walk.rewards)) for unit in (1.0, 2.0**power)]
    assert torch.equal(*(agent.act(walk.observations[:9], generators(9)) for agent in agents))


def test_a_gradient_method_says_what_its_config_lacks():
    @config_dataclass
    class Bare:
        seed: int = 0

    class Incomplete(GradientMethod):
        config_type = Bare
        networks = losses = choose = None

    with pytest.raises(TypeError, match=r"Bare needs a field `training: TrainingConfig`"):
        Incomplete()


def test_every_registered_method_is_tested_here():
    ours = {kind for kind, method in METHODS.items() if method.__module__.startswith("sfbc_core.")}
    assert ours == set(SMALL)


GRADIENT = [config for kind, config in SMALL.items() if issubclass(METHODS[kind], GradientMethod)]


@pytest.mark.parametrize("config", GRADIENT, ids=lambda config: type(config).__name__)
def test_every_loss_trains_the_network_of_its_name_alone(config, walk, generator):
    agent = METHODS[type(config)](config)
    agent.nets.build(walk.observation_dim, walk.action_dim)
    batch = agent.rows(walk)[torch.arange(32)]
    seen = set()
    for step in (0, 1, config.training.gradient_steps - 1):  # some networks wait for every second step, or for another
        for name in agent.losses(batch, step, generator):
            agent.nets.zero_grad(set_to_none=True)
            agent.losses(batch, step, generator)[name].backward()
            touched = {
                other for other, network in agent.nets.items() if any(p.grad is not None for p in network.parameters())
            }
            assert touched == {name}
            seen.add(name)
    learning = {name for name, network in agent.nets.items() if any(p.requires_grad for p in network.parameters())}
    assert seen == learning, "networks that no loss trains"
    targets = [network for name, network in agent.nets.items() if name.startswith("target_")]
    assert not any(p.requires_grad for network in targets for p in network.parameters())


@EVERY
def test_saved_and_loaded_it_acts_the_same(config, walk, tmp_path):
    agent = fitted(config, walk)
    agent.save(tmp_path)
    for loaded in (type(agent).load(tmp_path), Method.load(tmp_path)):
        assert type(loaded) is type(agent) and loaded.config == config
        assert_same(weights(agent), weights(loaded))
        seen = walk.observations[:6]
        assert torch.equal(agent.act(seen, generators(6)), loaded.act(seen, generators(6)))


@EVERY
def test_the_same_seed_gives_the_same_agent_and_another_seed_another(config, walk):
    torch.manual_seed(1)
    first = weights(fitted(config, walk))
    torch.manual_seed(2)  # the global generator has no say
    assert_same(first, weights(fitted(config, walk)))
    other = weights(fitted(replace(config, seed=9), walk))
    assert any(not torch.equal(first[name], other[name]) for name in first)


@EVERY
def test_it_acts_at_any_batch_size_within_the_bounds(config, walk):

    agent = fitted(config, walk)
    whole = agent.act(walk.observations[:7], generators(7))
    assert whole.shape == (7, 2) and whole.abs().max() <= 1
    for row in range(7):  # alone, up to the rounding of a product of another size
        alone = agent.act(walk.observations[row : row + 1], generators(7)[row : row + 1])
        torch.testing.assert_close(alone[0], whole[row], atol=1e-4, rtol=0)
    policy = start_policy(agent, 3)
    step = policy.step(torch.arange(3).numpy(), walk.observations[:3], torch.zeros(3), generators(3))
    torch.testing.assert_close(step, whole[:3], atol=1e-4, rtol=0)


@EVERY
def test_it_acts_on_any_form_of_the_same_observations(config, walk):
    """A tensor is answered by a tensor, anything else by a numpy array, and the numbers are the same to the bit."""
    agent, seen = fitted(config, walk), walk.observations[:5].round()
    expected = agent.act(seen, generators(5))
    assert type(expected) is torch.Tensor and expected.dtype == torch.float32
    arrays = [seen.numpy(), seen.double().numpy(), seen.long().numpy(), seen.numpy().astype(np.int8), seen.tolist()]
    tensors = [seen.double(), seen.long(), seen.clone().requires_grad_(), seen.mT.contiguous().mT]
    for given in (*arrays, *tensors, pd.DataFrame(seen.numpy())):
        answer = agent.act(given, generators(5))
        assert type(answer) is (torch.Tensor if isinstance(given, torch.Tensor) else np.ndarray)
        answer = torch.as_tensor(answer)
        assert answer.dtype == torch.float32 and not answer.requires_grad and torch.equal(answer, expected)
    for none in (seen[:0], seen[:0].numpy()):
        for source in (None, []):
            answer = agent.act(none, source)
            assert answer.shape == (0, 2) and isinstance(answer, type(none))


@EVERY
@pytest.mark.usefixtures("untyped")
def test_it_refuses_other_observations_in_words(config, walk):
    agent, seen = fitted(config, walk), walk.observations[:2]
    for given, error, message in (
        (seen[0], ValueError, r"of shape \(B, 3\), got \(3,\); a single one is a batch of one, observations\[None\]"),
        (seen.numpy()[:, :2], ValueError, r"expected observations of shape \(B, 3\), got \(2, 2\)"),
        (seen / 0, ValueError, "observations must be finite, found NaN or infinity first in row 0"),
        (np.array([[0, 0, 0], [np.nan, 0, 0]]), ValueError, "observations must be finite, .* first in row 1"),
        ([["a", "b", "c"]], TypeError, "observations must hold real numbers, got list of dtype"),
        (None, TypeError, "observations must hold numbers, got None"),
    ):
        with pytest.raises(error, match=message):
            agent.act(given)
    with pytest.raises(ValueError, match="one generator for each of 2 rows, got 3"):
        agent.act(seen, generators(3))


@EVERY
@pytest.mark.usefixtures("untyped")
def test_it_refuses_what_does_not_fit(config, walk, tmp_path):
    kind = METHODS[type(config)]
    with pytest.raises(RuntimeError, match=rf"this {kind.__name__} agent is not fitted yet: call fit"):
        kind(config).act(walk.observations)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        kind(config).save(tmp_path)
    with pytest.raises(TypeError, match=rf"{kind.__name__} expects a {type(config).__name__}, got a TrainingConfig"):
        kind(TRAINING)
    agent = fitted(config, walk, tmp_path / "run")
    with pytest.raises(ValueError, match=r"expected .*3\).* got \(5, 2\)"):
        agent.act(torch.zeros(5, 2))
    with pytest.raises(ValueError, match=r"holds a run on other data"):
        fitted(config, walk.replace(rewards=walk.rewards + 1), tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds a run with another config \(config\.seed: 0, not 5\); choose another"):
        fitted(replace(config, seed=5), walk, tmp_path / "run")
    with pytest.raises(ValueError, match="fields that decide how"):
        agent.acting(seed=3)


@EVERY
def test_another_way_of_acting_leaves_the_agent_alone(config, walk):
    agent = fitted(config, walk)
    before = {name: tensor.clone() for name, tensor in weights(agent).items()}
    with pytest.raises(RuntimeError, match="acts with the models of another agent, which a fit would change"):
        agent.acting().fit(walk.replace(rewards=-walk.rewards))
    assert_same(weights(agent), before)
    first, second = (agent.acting().act(walk.observations[:5]) for _ in range(2))
    assert torch.equal(first, second), "each copy draws from a stream of its own"


@EVERY
def test_a_fit_that_failed_leaves_no_agent_that_acts(config, walk, monkeypatch):
    agent = fitted(config, walk)
    monkeypatch.setattr(type(agent), "learn", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        agent.fit(walk)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        agent.act(walk.observations)


@EVERY
def test_its_config_survives_json(config):
    assert config_from_json(json.loads(json.dumps(config_to_json(config))), *METHODS) == config


@EVERY
def test_a_finished_run_is_not_trained_again(config, walk, tmp_path):
    first = fitted(config, walk, tmp_path)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    again = fitted(config, walk, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == files
    assert files and not any("partial" in name for name in files)
    assert_same(weights(first), weights(again))


@pytest.mark.slow
@EVERY
def test_killed_by_sigkill_it_ends_with_the_same_bits(config, walk, tmp_path):
    """Killed right after its first checkpoint, then started again, against an agent that was left alone."""
    store_fit(tmp_path, config, walk)
    process = Started(fit_stored, tmp_path, True)
    process.until(lambda: list((tmp_path / "run").glob("*.partial.safetensors")))
    other = replace(config, seed=8)
    for one in (config, other):
        with pytest.raises(RuntimeError, match="another process is training in"):
            fitted(one, walk, tmp_path / "run")
    assert process.kill()
    Started(fit_stored, tmp_path).result()
    assert_same(weights(fitted(config, walk)), load_tensors(tmp_path / "agent" / AGENT_FILE))


# ---- what save and load do, with one method for all ------------------------------------------------------------------


def test_save_replaces_its_own_file_and_nothing_else(walk, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    mine = {"notes.txt", "train.py", "checkpoints/behavior.partial.safetensors", ".hidden"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    first, second = (fitted(replace(SMALL[WeightedRegressionConfig], seed=seed), walk) for seed in (0, 1))
    first.save(tmp_path)
    second.save(tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {AGENT_FILE, *mine} and all((tmp_path / name).read_text() == "mine" for name in mine)
    assert Method.load(tmp_path).config.seed == 1


def test_save_follows_links_and_refuses_what_is_in_its_way(walk, tmp_path):
    agent = fitted(SMALL[WeightedRegressionConfig], walk)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    agent.save(tmp_path / "link")
    assert os.listdir(tmp_path / "real") == [AGENT_FILE] and (tmp_path / "link").is_symlink()
    assert Method.load(tmp_path / "link").config == agent.config
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"expected a folder, this is a file: '.*file'"):
        agent.save(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match=r"expected a folder, this is a file: '.*file'"):
        fitted(SMALL[WeightedRegressionConfig], walk, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "taken" / AGENT_FILE / "below").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="expected a file to write, this is a folder"):
        agent.save(tmp_path / "taken")
    (tmp_path / "gone").symlink_to("/not/mounted")
    for act in (agent.save, lambda path: fitted(SMALL[WeightedRegressionConfig], walk, path)):
        with pytest.raises(FileNotFoundError, match="a link to /not/mounted, which is not there"):
            act(tmp_path / "gone")


def test_loading_reports_what_is_wrong(walk, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"expected a saved agent in the folder .*agent\.safetensors is not there"
    ):
        Method.load(tmp_path)
    agent = fitted(SMALL[WeightedRegressionConfig], walk)
    agent.save(tmp_path)
    with pytest.raises(ValueError, match=r"expected a saved IQL in .*, found one of WeightedRegression"):
        method_named("IQL").load(tmp_path)
    path, good = tmp_path / AGENT_FILE, config_to_json(agent.config)
    tensors = load_tensors(path)
    for config, message in (
        (good | {"temperature": 3}, r"WeightedRegressionConfig has no field\(s\) \['temperature'\]"),
        (good | {"type": "Elsewhere"}, "unknown config type 'Elsewhere'"),
        (good | {"policy": good["policy"] | {"hidden": 16}}, "does not hold the GaussianBehavior of this config"),
    ):
        save_tensors(path, tensors, {"config": json.dumps(config)})
        with pytest.raises(ValueError, match=message):
            Method.load(tmp_path)
    save_tensors(path, {}, {"config": json.dumps(good)})
    with pytest.raises(ValueError, match="does not hold the models of its config"):
        Method.load(tmp_path)
    save_tensors(path, tensors, {"config": "{"})
    with pytest.raises(ValueError, match=r"agent\.safetensors holds no config that can be read"):
        Method.load(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        Method.load(tmp_path)


def test_unknown_methods_are_listed():
    with pytest.raises(
        ValueError, match=r"unknown method 'TD7'; expected one of \['AWR'.*'SfBC'.*'WeightedRegression'"
    ):
        method_named("TD7")


# ---- one file is a fact ----------------------------------------------------------------------------------------------


@config_dataclass
class CloningConfig:
    training: TrainingConfig = TRAINING
    seed: int = 0


class Cloning(GradientMethod, config=CloningConfig):
    def networks(self, obs_dim, act_dim):
        return {"policy": mlp([obs_dim, 16, act_dim], nn.Tanh)}

    def losses(self, batch, step, generator):
        s, a, *_ = batch_of(batch)
        return {"policy": (self.nets["policy"](s) - a).square().mean()}

    def choose(self, states, generator):
        return self.nets["policy"](states).clamp(-1, 1)


def test_a_method_of_ten_lines_learns_saves_and_acts(walk, tmp_path):
    linear = walk.replace(actions=(0.3 * walk.observations[:, :2]).clamp(-1, 1))
    training = replace(TRAINING, gradient_steps=600, learning_rate=1e-2, batch_size=64)
    agent = Cloning(CloningConfig(training)).fit(linear, tmp_path / "run")
    assert (agent.act(linear.observations) - linear.actions).abs().mean() < 0.05
    agent.save(tmp_path / "agent")
    assert torch.equal(Method.load(tmp_path / "agent").act(linear.observations), agent.act(linear.observations))


class Far(gymnasium.Env):
    """One step from 1e8 - 1 or 1e8 + 1, which earns 1 for an action of the same sign."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        self.side = 1.0 if np.random.default_rng(seed).random() < 0.5 else -1.0
        return np.array([1e8 + self.side]), {}

    def step(self, action):
        return np.array([1e8]), float(action[0] * self.side > 0), True, False, {}


def test_far_from_the_origin_it_is_evaluated_in_the_precision_that_it_learned_in():
    sides = np.tile([1.0, -1.0], 50)[:, None]
    with pytest.warns(UserWarning, match="observations are kept in float64"):
        data = Trajectories(1e8 + sides, 0.5 * sides, np.ones(100), np.ones(100, bool))
    training = TrainingConfig(300, batch_size=50, learning_rate=1e-2)
    agent = fitted(replace(SMALL[BCConfig], training=training), data)
    results = evaluate(agent, SimpleNamespace(make_env=Far), 20, seed=0, max_steps=2)
    assert results.returns.tolist() == [1.0] * 20
