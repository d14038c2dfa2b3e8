"""All behavior models: they recover what they can represent, sample reproducibly, and survive a round trip to disk."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from sfbc_core import (
    DiffusionBehavior,
    DiffusionConfig,
    GaussianBehavior,
    GaussianConfig,
    GaussianMixture,
    TrainingConfig,
    Trajectories,
    VAEBehavior,
    VAEConfig,
)
from sfbc_core.behavior import DistilledBehavior, DistilledConfig, FlowMatchingBehavior, FlowMatchingConfig, base
from sfbc_core.diffusion import ScoreNetwork, ScoreNetworkConfig

TINY = TrainingConfig(gradient_steps=20, batch_size=32)


def bandit(actions, observations=None, **options) -> Trajectories:
    """Each transition is an episode of its own."""
    n = len(actions)
    observations = torch.zeros(n, 1) if observations is None else observations
    one = torch.ones(n, dtype=torch.bool)
    return Trajectories(observations, actions, torch.zeros(n), one, ~one, **options)


@pytest.fixture(params=["diffusion", "gaussian", "vae", "flow matching", "distilled"])
def make_model(request, tiny_diffusion):
    """A constructor (seed) -> an unfitted tiny model."""
    kinds = {
        "diffusion": (DiffusionBehavior, tiny_diffusion),
        "gaussian": (GaussianBehavior, GaussianConfig(hidden=16, layers=2, training=TINY)),
        "vae": (VAEBehavior, VAEConfig(hidden=16, training=TINY)),
        "flow matching": (FlowMatchingBehavior, FlowMatchingConfig(tiny_diffusion.network, training=TINY)),
        "distilled": (DistilledBehavior, DistilledConfig(tiny_diffusion, hidden=(16,))),
    }
    kind, config = kinds[request.param]
    return lambda seed=0: kind(config, seed)


def test_samples_have_the_shape_and_stay_within_the_bounds(make_model, walk):
    wide = Trajectories(**(walk.tensors() | {"actions": walk.actions * 3}), action_low=-3.0, action_high=3.0)
    samples = make_model().fit(wide).sample(wide.observations[:7], 5)
    assert samples.shape == (7, 5, 2) and samples.dtype is torch.float32
    assert samples.abs().max() <= 3 and samples.abs().max() > 0.5


def test_each_coordinate_fills_its_own_range(make_model, walk):
    """[-1, 1] beside [0, 100]: what is learned is the same, each in its own unit."""
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 100.0])
    actions = low + 0.5 * (walk.actions + 1) * (high - low)
    own = Trajectories(**(walk.tensors() | {"actions": actions}), action_low=low, action_high=high)
    plain, samples = (make_model().fit(data).sample(walk.observations, 20) for data in (walk, own))
    torch.testing.assert_close(samples[..., 0], plain[..., 0], atol=2e-3, rtol=0)
    torch.testing.assert_close(samples[..., 1], 50 * (plain[..., 1] + 1), atol=0.1, rtol=0)
    assert samples[..., 1].max() > 1 and samples[..., 1].min() >= 0


def test_one_seed_gives_the_same_weights_and_another_does_not(make_model, walk):
    state = torch.random.get_rng_state()
    first, again, other = (make_model(seed).fit(walk) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator was touched"
    names = [name for name in first.tensors() if name.startswith("network.")]
    assert all(torch.equal(first.tensors()[n], again.tensors()[n]) for n in names)
    assert not all(torch.equal(first.tensors()[n], other.tensors()[n]) for n in names)
    assert torch.equal(first.sample(walk.observations, 3), again.sample(walk.observations, 3))


def test_a_row_does_not_depend_on_its_company(make_model, walk):
    model = make_model().fit(walk)

    def generators(rows):
        return [torch.Generator().manual_seed(row) for row in rows]

    together = model.sample(walk.observations[:6], 4, generators(range(6)))
    alone = model.sample(walk.observations[2:3], 4, generators([2]))
    torch.testing.assert_close(together[2:3], alone, rtol=1e-5, atol=1e-5)


def test_weights_survive_a_round_trip(make_model, walk, generator):
    model = make_model().fit(walk)
    copy = make_model(seed=9).load_tensors(model.tensors())
    state = generator.get_state()
    samples = model.sample(walk.observations, 3, generator)
    generator.set_state(state)
    assert torch.equal(copy.sample(walk.observations, 3, generator), samples)
    assert copy.history == model.history


def test_every_parameter_gets_a_gradient(make_model, walk, generator):
    model = make_model().fit(walk)  # trained, so that the zero-initialised last layer passes gradients on
    model.loss(walk.observations, walk.actions, generator).mean().backward()
    for name, parameter in model.network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_weighting_by_zero_removes_transitions(make_model, walk):
    """Rows of weight zero must not matter: change them and the fit stays the same."""
    keep = (torch.arange(len(walk)) % 2 == 0).float()
    altered = torch.where(keep.bool()[:, None], walk.actions, -walk.actions)
    first = make_model().fit(walk, weights=keep)
    second = make_model().fit(Trajectories(**(walk.tensors() | {"actions": altered})), weights=keep)
    for name, tensor in first.tensors().items():
        torch.testing.assert_close(second.tensors()[name], tensor, msg=name)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(3), r"one weight for each of the 240 transitions, got \(3,\)"),
        (torch.full((240,), -1.0), "finite and non-negative"),
        (torch.zeros(240), "not all zero"),
        (torch.full((240,), math.nan), "finite and non-negative"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_weights_are_refused(make_model, walk, weights, message):
    with pytest.raises(ValueError, match=message):
        make_model().fit(walk, weights=weights)


@pytest.mark.usefixtures("untyped")
def test_bad_sampling_input_is_refused(make_model, walk):
    model = make_model()
    with pytest.raises(RuntimeError, match=r"not fitted yet: call fit\(trajectories\) first"):
        model.sample(walk.observations, 1)
    model.fit(walk)
    with pytest.raises(ValueError, match=r"states of shape \(S, 3\), got \(2, 4\)"):
        model.sample(torch.zeros(2, 4), 1)
    with pytest.raises(ValueError, match="at least 1 sample a state, got 0"):
        model.sample(walk.observations, 0)


@pytest.mark.slow
def test_gaussian_finds_the_maximum_likelihood_fit(generator):
    """tanh(u) with u ~ N(0.4 + 0.3 s, 0.25²): mean and deviation within a few standard errors of the truth."""
    n = 40_000
    state = torch.rand(n, 1, generator=generator) * 2 - 1
    raw = 0.4 + 0.3 * state + 0.25 * torch.randn(n, 1, generator=generator)
    training = TrainingConfig(gradient_steps=1500, batch_size=1024, learning_rate=2e-3, cosine_decay=True)
    model = GaussianBehavior(GaussianConfig(hidden=32, layers=2, training=training))
    model.fit(bandit(torch.tanh(raw), state))
    probe = torch.tensor([[-0.8], [0.0], [0.8]])
    mean, log_deviation = model.parameters_of(model.standardizer(probe))
    torch.testing.assert_close(mean.detach(), 0.4 + 0.3 * probe, rtol=0, atol=0.02)
    torch.testing.assert_close(log_deviation.detach().exp(), torch.full((3, 1), 0.25), rtol=0.06, atol=0)


def test_gaussian_likelihood_is_a_density(walk):
    model = GaussianBehavior(GaussianConfig(hidden=16, layers=2, training=TINY, bound_margin=1e-6))
    model.fit(Trajectories(**(walk.tensors() | {"actions": walk.actions[:, :1]})))
    grid = torch.linspace(-1 + 1e-5, 1 - 1e-5, 20_001)
    density = model.log_likelihood(walk.observations[:1].expand(len(grid), -1), grid[:, None]).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=2e-3)


def test_the_condition_is_computed_once_a_state(tiny_diffusion, walk, monkeypatch):
    """Candidates share the embedding: states are embedded once a state, times once a solve."""
    model = DiffusionBehavior(replace(tiny_diffusion, solver=replace(tiny_diffusion.solver, steps=7))).fit(walk)
    rows = {"states": 0, "times": 0, "condition": 0}
    embed_states, embed_times, condition = ScoreNetwork.embed_states, ScoreNetwork.embed_times, ScoreNetwork.condition
    monkeypatch.setattr(
        ScoreNetwork,
        "embed_states",
        lambda self, states: rows.__setitem__("states", rows["states"] + len(states)) or embed_states(self, states),
    )
    monkeypatch.setattr(
        ScoreNetwork,
        "embed_times",
        lambda self, t: rows.__setitem__("times", rows["times"] + len(t)) or embed_times(self, t),
    )
    monkeypatch.setattr(
        ScoreNetwork,
        "condition",
        lambda self, s, t: (
            rows.__setitem__("condition", rows["condition"] + s[..., 0].numel()) or condition(self, s, t)
        ),
    )
    model.sample(walk.observations[:10], 16)
    assert rows == {"states": 10, "times": 7, "condition": 10 * 7}


def test_the_split_embedding_equals_the_joint_forward(walk, generator):
    network = ScoreNetwork(2, 3, ScoreNetworkConfig.small())
    torch.nn.init.normal_(network.output_layer.weight, generator=generator)  # it starts at zero
    x, t = torch.randn(240, 2, generator=generator), torch.full((240,), 0.37)
    shared = network.condition(network.embed_states(walk.observations)[:, None], network.embed_times(t[:1]))
    torch.testing.assert_close(network.predict(x[:, None], shared)[:, 0], network(x, walk.observations, t))


def test_the_papers_network_has_the_papers_size():
    count = sum(p.numel() for p in ScoreNetwork(6, 17).parameters())
    assert 1.2e6 < count < 2e6
    assert sum(p.numel() for p in ScoreNetwork(1, 2, ScoreNetworkConfig.small()).parameters()) < 1.2e5


@pytest.mark.slow
def test_diffusion_leaves_the_gap_between_modes_empty(generator):
    """Less than 1 % of the mass of a trained model lies where the data has none, and the modes keep their weights."""
    mixture = GaussianMixture([0.65, 0.35], [-0.6, 0.5], [0.08, 0.06])
    actions, _ = mixture.sample(30_000, generator)
    config = DiffusionConfig.small(gradient_steps=2000)
    model = DiffusionBehavior(config).fit(bandit(actions.clamp(-1, 1)))
    n = 10_000
    samples = model.sample(torch.zeros(1, 1), n, generator)[0]
    outside = (mixture.distance_to_data(samples) > 5).double().mean()
    assert outside < 0.01
    share = (samples < 0).double().mean()
    # 5 standard errors of the sample, and 2 % for the training that is far from converged.
    assert abs(share - 0.65) < 5 * math.sqrt(0.65 * 0.35 / n) + 0.02


def test_vae_latents_stay_within_their_clip(walk):
    model = VAEBehavior(VAEConfig(hidden=16, training=TINY)).fit(walk)
    states = walk.observations[:4]
    far = torch.full((4, 1, model.noise_dim), 100.0)
    assert torch.equal(model.draw(states, far), model.draw(states, far.clamp(-0.5, 0.5)))


def test_sampling_by_parts_changes_nothing(walk, monkeypatch):
    model = GaussianBehavior(GaussianConfig(hidden=8, layers=1, training=TINY)).fit(walk)
    whole = model.sample(walk.observations, 4, torch.Generator().manual_seed(0))
    monkeypatch.setattr(base, "SAMPLED_TOGETHER", {"cpu": 40, "cuda": 40})  # ten states at a time
    by_parts = model.sample(walk.observations, 4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(by_parts, whole, atol=1e-6, rtol=0)  # rounding of products of another size
    assert model.sample(walk.observations[:0], 4).shape == (0, 4, 2)
