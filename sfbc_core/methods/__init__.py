"""SfBC and the methods that it is compared with, one file each."""

from sfbc_core.methods.awr import AWR, AWRConfig
from sfbc_core.methods.bail import BAIL, BAILConfig
from sfbc_core.methods.base import METHODS, Method, method_named
from sfbc_core.methods.bcq import BCQ, BCQConfig
from sfbc_core.methods.cloning import BC, BCConfig
from sfbc_core.methods.cql import CQL, CQLConfig
from sfbc_core.methods.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from sfbc_core.methods.diffuser import Diffuser, DiffuserConfig
from sfbc_core.methods.diffusion_ql import DiffusionQL, DiffusionQLConfig
from sfbc_core.methods.emaq import EMaQ, EMaQConfig
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.idql import IDQL, IDQLConfig
from sfbc_core.methods.iql import IQL, IQLConfig
from sfbc_core.methods.sfbc import SfBC, SfBCConfig
from sfbc_core.methods.td3_bc import TD3BC, TD3BCConfig
from sfbc_core.methods.vem import VEM, VEMConfig
from sfbc_core.methods.weighted_regression import WeightedRegression, WeightedRegressionConfig, regression_weights

__all__ = [
    "AWR",
    "BAIL",
    "BC",
    "BCQ",
    "CQL",
    "IDQL",
    "IQL",
    "METHODS",
    "TD3BC",
    "VEM",
    "AWRConfig",
    "BAILConfig",
    "BCConfig",
    "BCQConfig",
    "CQLConfig",
    "DecisionTransformer",
    "DecisionTransformerConfig",
    "Diffuser",
    "DiffuserConfig",
    "DiffusionQL",
    "DiffusionQLConfig",
    "EMaQ",
    "EMaQConfig",
    "GradientMethod",
    "IDQLConfig",
    "IQLConfig",
    "Method",
    "SfBC",
    "SfBCConfig",
    "TD3BCConfig",
    "VEMConfig",
    "WeightedRegression",
    "WeightedRegressionConfig",
    "method_named",
    "regression_weights",
]
