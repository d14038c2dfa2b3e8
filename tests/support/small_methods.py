"""Every registered method at a size that takes seconds: what the tests of all methods run over."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfbc_core import CriticConfig, DiffusionConfig, GaussianConfig, ScoreNetworkConfig, TrainingConfig, training
from sfbc_core.diffusion.temporal_network import TemporalNetworkConfig
from sfbc_core.experiments import Trial
from sfbc_core.methods import METHODS
from sfbc_core.methods.awr import AWRConfig
from sfbc_core.methods.bail import BAILConfig
from sfbc_core.methods.bcq import BCQConfig
from sfbc_core.methods.cloning import BCConfig
from sfbc_core.methods.cql import CQLConfig
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.diffuser import DiffuserConfig
from sfbc_core.methods.diffusion_ql import DiffusionQLConfig
from sfbc_core.methods.emaq import EMaQConfig
from sfbc_core.methods.idql import IDQLConfig
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.methods.td3_bc import TD3BCConfig
from sfbc_core.methods.vem import VEMConfig
from sfbc_core.methods.weighted_regression import WeightedRegressionConfig

TRAINING = TrainingConfig(gradient_steps=60, batch_size=16, learning_rate=1e-3, checkpoint_every=20, log_every=7)
CRITIC = CriticConfig(hidden=(8, 8), members=2, training=TRAINING)
NETWORK = ScoreNetworkConfig(widths=(8,), embedding_dim=8, fourier_features=4)
SMALL = {
    SfBCConfig: SfBCConfig(DiffusionConfig(NETWORK, training=TRAINING), CRITIC, value_candidates=3, num_candidates=4),
    WeightedRegressionConfig: WeightedRegressionConfig(GaussianConfig(hidden=8, layers=1, training=TRAINING), CRITIC),
    AWRConfig: AWRConfig(hidden=(8, 8), evaluate_every=15, training=TRAINING),
    IQLConfig: IQLConfig(hidden=(8, 8), training=TRAINING),
    DecisionTransformerConfig: DecisionTransformerConfig(context=4, embedding=8, layers=1, training=TRAINING),
    BCConfig: BCConfig(hidden=(8, 8), training=TRAINING),
    VEMConfig: VEMConfig(hidden=(8, 8), plan_every=15, training=TRAINING),
    BAILConfig: BAILConfig(hidden=(8, 8), training=TRAINING),
    BCQConfig: BCQConfig(hidden=(8, 8), vae_hidden=8, target_candidates=3, num_candidates=4, training=TRAINING),
    EMaQConfig: EMaQConfig(num_candidates=3, bins=5, hidden=(8, 8), training=TRAINING),
    CQLConfig: CQLConfig(actions=2, hidden=(8, 8), training=TRAINING),
    TD3BCConfig: TD3BCConfig(hidden=(8, 8), training=TRAINING),
    DiffusionQLConfig: DiffusionQLConfig(network=NETWORK, hidden=(8, 8), num_candidates=3, training=TRAINING),
    IDQLConfig: IDQLConfig(
        DiffusionConfig(NETWORK, training=TRAINING), num_candidates=4, hidden=(8, 8), training=TRAINING
    ),
    DiffuserConfig: DiffuserConfig(4, TemporalNetworkConfig(8, 2, 3, 4), plans=2, training=TRAINING),
}
EVERY = pytest.mark.parametrize("config", SMALL.values(), ids=lambda config: type(config).__name__)


def fitted(config, data, *options):
    """The method of a config, fitted; `options` are those of its `fit`."""
    return METHODS[type(config)](config).fit(data, *options)


def small_trial(kind, episodes=4):
    """A trial on the Bidirectional-Car, of a second; SfBC's is evaluated after each of its iterations."""
    variants = {f"K = {k}": {"iteration": k} for k in (1, 2)} if kind is SfBCConfig else {"as configured": {}}
    return Trial("bidirectional-car", SMALL[kind], episodes, variants, transitions=400, profile="smoke")


def each_of(kinds, fault, done):
    """Parameters of a test, one a method; in the record of faults each is a kind of its own."""
    names = {kind: METHODS[kind].__name__ for kind in kinds}
    return [
        pytest.param(kind, id=name, marks=pytest.mark.fault(f"{fault}, {name}", done.format(name)))
        for kind, name in names.items()
    ]


def stopped_at_a_checkpoint(config, data, folder) -> Path:
    """The first checkpoint of a fit in the folder, which ended there."""
    store = training.store_checkpoint

    def stop_after(*arguments):
        store(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, "store_checkpoint", stop_after)
        fitted(config, data, folder)
    (path,) = Path(folder).glob("*.partial.safetensors")
    return path
