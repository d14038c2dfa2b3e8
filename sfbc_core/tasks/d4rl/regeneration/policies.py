"""Robots' policies, read from files: tanh-Gaussian networks with two hidden layers, as soft actor-critic trains them."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from sfbc_core.files import short
from sfbc_core.paths import user_path

# The names of the layers (first hidden, second hidden, mean, log standard deviation) in rlkit and in Stable-Baselines3.
LAYOUTS = (
    ("fc0", "fc1", "last_fc", "last_fc_log_std"),
    ("latent_pi.0", "latent_pi.2", "mu", "log_std"),
)
LOG_STD_RANGE = (-20.0, 2.0)  # the same in both


class TanhGaussianPolicy:
    """a = tanh(μ(s) + σ(s) ε) with ε ~ N(0, I); μ and log σ are linear in a relu network of two hidden layers.

    Args:
        weights: the `.weight` (out, in) and `.bias` (out,) of each layer, named as in one of the `LAYOUTS`.
        observation_dim, action_dim: the sizes of the input and of the output that the network must have.

    Raises:
        ValueError: a layer is missing, has another shape than expected, or holds NaN or infinity.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], observation_dim: int, action_dim: int) -> None:
        names = next((names for names in LAYOUTS if f"{names[0]}.weight" in weights), None)
        if names is None:
            expected = " or ".join(f"{layout[0]}.weight" for layout in LAYOUTS)
            raise ValueError(f"expected a policy whose first layer is {expected}, got {short(sorted(weights))}")
        if missing := [f"{n}.{part}" for n in names for part in ("weight", "bias") if f"{n}.{part}" not in weights]:
            raise ValueError(f"the policy lacks {', '.join(missing)}; it has {short(sorted(weights))}")
        layers = [tuple(np.asarray(weights[f"{n}.{part}"]) for part in ("weight", "bias")) for n in names]
        hidden = [len(bias) if bias.ndim else 0 for _, bias in layers[:2]]
        shapes = [(hidden[0], observation_dim), (hidden[1], hidden[0]), *[(action_dim, hidden[1])] * 2]
        for name, (weight, bias), shape in zip(names, layers, shapes, strict=True):
            if weight.shape != shape or bias.shape != shape[:1]:
                raise ValueError(
                    f"{name} of the policy: expected a weight of shape {shape} and a bias of {shape[:1]}, "
                    f"got {weight.shape} and {bias.shape}"
                )
        self._first, self._second, self._mean, self._log_std = (
            (_checked(name, weight), _checked(name, bias)) for name, (weight, bias) in zip(names, layers, strict=True)
        )

    def sample(
        self, observation: Float[np.ndarray, " obs"], generator: np.random.Generator
    ) -> Float[np.ndarray, " act"]:
        """Draw an action, in [-1, 1]."""
        features = self._features(observation)
        mean = _linear(self._mean, features)
        deviation = np.exp(np.clip(_linear(self._log_std, features), *LOG_STD_RANGE))
        return np.tanh(mean + deviation * generator.standard_normal(mean.shape, dtype=np.float32))

    def _features(self, observation: Float[np.ndarray, " obs"]) -> Float[np.ndarray, " hidden"]:
        features = np.maximum(_linear(self._first, observation.astype(np.float32)), 0)
        return np.maximum(_linear(self._second, features), 0)


def load_policy(path: str | os.PathLike, observation_dim: int, action_dim: int) -> tuple[TanhGaussianPolicy, str]:
    """The policy in an .npz file, and the file's sha256 (64 digits).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no .npz file of arrays, or not a policy of these dimensions.
    """
    content = user_path(path).read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            weights = dict(file)
    except Exception as error:  # NumPy, zipfile and zlib have a dozen kinds for a damaged file
        raise ValueError(
            f"{path} is not an .npz file of plain arrays, without Python objects (pickle): {short(error)}"
        ) from error
    try:
        policy = TanhGaussianPolicy(weights, observation_dim, action_dim)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return policy, hashlib.sha256(content).hexdigest()


def _checked(name: str, values: np.ndarray) -> Float[np.ndarray, "..."]:
    """The values as float32, in which they must be finite."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is refused
            values = values.astype(np.float32)
        if np.isfinite(values).all():
            return values
    raise ValueError(
        f"{name} of the policy: expected finite floating-point numbers, got some {values.dtype} that are not"
    )


def _linear(
    layer: tuple[Float[np.ndarray, "out in"], Float[np.ndarray, " out"]], features: Float[np.ndarray, " in"]
) -> Float[np.ndarray, " out"]:
    return layer[0] @ features + layer[1]
