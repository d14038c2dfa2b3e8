"""SfBC and the methods that it is compared with, one file each."""

from sfbc_core.methods.awr import AWR, AWRConfig, regression_weights
from sfbc_core.methods.base import METHODS, Method, method_named
from sfbc_core.methods.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.iql import IQL, IQLConfig
from sfbc_core.methods.sfbc import SfBC, SfBCConfig

__all__ = [
    "AWR",
    "IQL",
    "METHODS",
    "AWRConfig",
    "DecisionTransformer",
    "DecisionTransformerConfig",
    "GradientMethod",
    "IQLConfig",
    "Method",
    "SfBC",
    "SfBCConfig",
    "method_named",
    "regression_weights",
]
