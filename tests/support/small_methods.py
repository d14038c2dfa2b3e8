"""Every registered method at a size that takes seconds: what the tests of all methods run over."""

from __future__ import annotations

import pytest

from sfbc_core import CriticConfig, DiffusionConfig, GaussianConfig, ScoreNetworkConfig, TrainingConfig
from sfbc_core.methods import METHODS
from sfbc_core.methods.awr import AWRConfig
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig

TRAINING = TrainingConfig(gradient_steps=60, batch_size=16, learning_rate=1e-3, checkpoint_every=20, log_every=7)
CRITIC = CriticConfig(hidden=(8, 8), members=2, training=TRAINING)
NETWORK = ScoreNetworkConfig(widths=(8,), embedding_dim=8, fourier_features=4)
SMALL = {
    SfBCConfig: SfBCConfig(DiffusionConfig(NETWORK, training=TRAINING), CRITIC, value_candidates=3, num_candidates=4),
    AWRConfig: AWRConfig(GaussianConfig(hidden=8, layers=1, training=TRAINING), CRITIC),
    IQLConfig: IQLConfig(hidden=(8, 8), training=TRAINING),
    DecisionTransformerConfig: DecisionTransformerConfig(context=4, embedding=8, layers=1, training=TRAINING),
}
EVERY = pytest.mark.parametrize("config", SMALL.values(), ids=lambda config: type(config).__name__)


def fitted(config, data, *options):
    """The method of a config, fitted; `options` are those of its `fit`."""
    return METHODS[type(config)](config).fit(data, *options)
