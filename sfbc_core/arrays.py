"""Arrays at the door: whatever holds numbers becomes a tensor, and whatever does not is refused in words."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.configuration import converted


@runtime_checkable
class SupportsArray(Protocol):
    """Whatever numpy can read, such as a column of a pandas DataFrame."""

    def __array__(self, *options: Any, **more: Any) -> np.ndarray: ...


# Of the largest value of a coordinate: a range below the first is rounding; one of fewer float32 numbers than the second
# is no longer told apart.
ROUNDING_OF_DOUBLES, FLOAT32_STEPS = 1e-14, 16

ArrayLike = Tensor | np.ndarray | Sequence | SupportsArray | int | float


def as_tensor(name: str, value: ArrayLike, rank: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A contiguous tensor of `rank` dimensions and of a dtype on a device, without the gradients that `value` may carry.

    Args:
        name: of the array, for errors.
        value: a tensor, an array, nested lists, a DataFrame: numbers in any layout.
        dtype: `torch.bool` asks for flags, 0 or 1; one of integers, for whole numbers.

    Raises:
        TypeError: something that holds no real numbers.
        ValueError: a ragged array, another rank, flags that are not 0 or 1, or integers that are not whole.
    """
    tensor = _of_any_shape(name, value)
    if tensor.ndim != rank:
        raise ValueError(f"{name} must have {rank} dimension(s), got shape {tuple(tensor.shape)}")
    tensor = tensor.to(device)
    if dtype is torch.bool and tensor.dtype is not torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(f"{name} must hold flags (0 or 1, False or True), got other values")
    if dtype is torch.int64 and tensor.is_floating_point() and not (tensor == tensor.trunc()).all():
        raise ValueError(f"{name} must hold whole numbers, got others")
    if dtype is torch.float32:
        warn_of_collapse(name, tensor)
    return tensor.to(dtype).contiguous()


def as_states(name: str, value: ArrayLike, device: torch.device) -> Float[Tensor, "N obs"]:
    """As :func:`as_tensor`, in float32; with a warning in float64, where float32 cannot tell apart what was given.

    Raises:
        TypeError, ValueError: as :func:`as_tensor`.
    """
    tensor, dtype = _of_any_shape(name, value), torch.float32
    if (found := _collapsing(tensor)) is not None and tensor.abs().max() <= torch.finfo(torch.float32).max:
        coordinates, low, high = found
        warn_the_caller(
            f"{name} are kept in float64: float32 cannot tell the values of coordinate {coordinates} apart; the first lie "
            f"between {low:.17g} and {high:.17g}. They are standardised like the others: put a constant in place of noise"
        )
        dtype = torch.float64
    return as_tensor(name, tensor.to(dtype), 2, dtype, device)


def warn_of_collapse(name: str, tensor: Tensor) -> None:
    """Say so where float32, in which it will be used, cannot hold what float64 tells apart, such as 1e8 ± 1."""
    if (found := _collapsing(tensor)) is not None:
        coordinates, low, high = found
        warn_the_caller(
            f"{name} are used in float32, which cannot tell the values of coordinate {coordinates} apart: the first lie "
            f"between {low:.17g} and {high:.17g}; subtract a constant from them, in the environment too"
        )


def float32_may_collapse(array: Float[np.ndarray, "N ..."]) -> bool:
    """Whether numbers that were read in float32 are so close, in some coordinate, that finer ones could say more."""
    if not array.size:
        return False
    low, high = torch.aminmax(torch.from_numpy(array).reshape(len(array), -1), dim=0)
    step = torch.finfo(torch.float32).eps * torch.maximum(low.abs(), high.abs())
    return bool((high - low < (FLOAT32_STEPS + 1) * step).any())  # one step: reading rounded both ends


def float32_collapses(array: Float[np.ndarray, "N ..."]) -> bool:
    """Whether float32 cannot tell apart, in some coordinate, the float64 values that differ by more than rounding."""
    return _collapsing(torch.from_numpy(array)) is not None


def _collapsing(tensor: Tensor) -> tuple[str, float, float] | None:
    """The coordinates whose values float32 cannot tell apart, and the extremes of the first; None if there is none."""
    if tensor.dtype is not torch.float64 or not tensor.numel() or not tensor.ndim:
        return None
    low, high = torch.aminmax(tensor.reshape(len(tensor), -1), dim=0)
    largest = torch.maximum(low.abs(), high.abs())
    moves = high - low > ROUNDING_OF_DOUBLES * largest
    lost = moves & (high - low < FLOAT32_STEPS * torch.finfo(torch.float32).eps * largest)
    if not lost.any():
        return None
    found = lost.nonzero()[:, 0].tolist()
    return ", ".join(map(str, found)), float(low[found[0]]), float(high[found[0]])


def as_floats(
    name: str,
    value: ArrayLike,
    shape: Sequence[int | str],
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "..."]:
    """A tensor of finite numbers, without the gradients that `value` may carry: what models are asked with.

    Args:
        name: of the array, for errors.
        value: as in :func:`as_tensor`.
        shape: what is expected: a number where a length is fixed, a letter where it is free, such as ``("B", 3)``.
        device: where to; None leaves a tensor where it is.
        dtype: of the numbers.

    Raises:
        TypeError: something that holds no real numbers.
        ValueError: another shape, NaN or infinity, or numbers beyond the dtype.
    """
    tensor = _of_any_shape(name, value)
    if not _fits(tensor.shape, shape):
        alone = tensor.ndim == 1 and _fits(tensor.shape, shape[1:])
        advice = f"; a single one is a batch of one, {name}[None]" if alone else ""
        raise ValueError(f"expected {name} of shape ({', '.join(map(str, shape))}), got {tuple(tensor.shape)}{advice}")
    tensor = tensor.to(tensor.device if device is None else device, dtype)
    check_finite(name, tensor)
    return tensor


def as_given(result: Float[Tensor, "..."], given: ArrayLike) -> Float[Tensor, "..."] | Float[np.ndarray, "..."]:
    """The answer in the form of the question: a tensor on the device of the tensor `given`, or else a numpy array."""
    return result.to(given.device) if isinstance(given, Tensor) else result.cpu().numpy()


def check_tensor(name: str, value: Tensor, axes: str) -> Tensor:
    """A tensor as it is, with its precision, device and gradients; integers become float32.

    Args:
        name: of the tensor, for errors.
        axes: its dimensions, a letter for each, such as "SM".

    Raises:
        TypeError: something else than a tensor of real numbers.
        ValueError: another number of dimensions.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {type(value).__name__}: torch.as_tensor makes one of it")
    if value.is_complex():
        raise TypeError(f"{name} must hold real numbers, got {value.dtype}")
    if value.ndim != len(axes):
        raise ValueError(f"expected {name} of shape ({', '.join(axes)}), got {tuple(value.shape)}")
    return value if value.is_floating_point() else value.float()


def check_finite(name: str, tensor: Float[Tensor, "..."]) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: there are some.
    """
    # The extremes show both, and take no memory, where a flag for each of a hundred million numbers would.
    if tensor.numel() and not all(map(math.isfinite, torch.stack(torch.aminmax(tensor.detach())).tolist())):
        first = int((~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1).nonzero()[0])
        raise ValueError(f"{name} must be finite, found NaN or infinity first in row {first}")


def _of_any_shape(name: str, value: ArrayLike) -> Tensor:
    tensor = value.detach() if isinstance(value, Tensor) else torch.from_numpy(as_array(name, value))
    if tensor.is_complex():
        raise TypeError(f"{name} must hold real numbers, got {tensor.dtype}")
    return tensor


def _fits(found: Sequence[int], shape: Sequence[int | str]) -> bool:
    pairs = zip(found, shape, strict=False)
    return len(found) == len(shape) and all(isinstance(free, str) or free == length for length, free in pairs)


def as_array(name: str, value: ArrayLike) -> np.ndarray:
    """A numpy array that torch can share: of numbers or flags, contiguous, writable.

    Raises:
        TypeError: something that holds no real numbers, or of which some are masked.
        ValueError: a ragged array.
    """
    if value is None:  # which numpy would take for NaN
        raise TypeError(f"{name} must hold numbers, got None")
    try:
        array = np.asarray(value)
    except ValueError as error:  # numpy's own words speak of inhomogeneous shapes
        raise ValueError(f"{name} must be an array with rows of one length: {error}") from error
    if np.ma.is_masked(value):
        raise TypeError(f"{name} must hold a number everywhere, got an array of which some are masked")
    if array.dtype.kind == "O":  # a DataFrame of several types, or rows of arrays
        try:
            array = array.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise TypeError(f"{name} must hold numbers, got {type(value).__name__} of other things: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {type(value).__name__} of dtype {array.dtype}")
    if array.dtype.kind in "iu" or (array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8)):
        array = array.astype(np.float64)
    array = np.asarray(array, array.dtype.newbyteorder("="), order="C")
    return array if array.flags.writeable else array.copy()


def as_bounds(
    low: ArrayLike, high: float | ArrayLike, coordinates: int, device: torch.device
) -> tuple[Float[Tensor, " act"], Float[Tensor, " act"]]:
    """The bounds of actions, one for each coordinate, as float32; a number is the bound of all.

    Raises:
        TypeError: not numbers.
        ValueError: a wrong number of bounds, bounds that are not finite, or a lower one that is not below the upper.
    """
    bounds = []
    for name, value in (("action_low", low), ("action_high", high)):
        bound = value.detach() if isinstance(value, Tensor) else torch.from_numpy(as_array(name, value))
        if bound.shape not in ((), (coordinates,)):
            raise ValueError(
                f"{name} must be one number, or one for each of the {coordinates} action coordinates, "
                f"got shape {tuple(bound.shape)}"
            )
        bound = bound.to(device, torch.float32).expand(coordinates).clone()
        if not torch.isfinite(bound).all():
            raise ValueError(
                f"{name} must be finite, got {as_words(bound)}: declare the range in which the actions really lie"
            )
        bounds.append(bound)
    if not (bounds[0] < bounds[1]).all():
        raise ValueError(f"action_low must be below action_high, got {as_words(bounds[0])} and {as_words(bounds[1])}")
    return bounds[0], bounds[1]


def as_words(bound: Float[Tensor, " act"]) -> str:
    """A bound for people: one number where all coordinates share it."""
    values = [f"{value:g}" for value in bound.tolist()]
    return values[0] if len(set(values)) == 1 else f"({', '.join(values)})"


def whole_number(value: Any) -> int | None:
    """`value` as an int where it is a whole number, such as 20, ``numpy.int64(20)`` or 20.0; otherwise None."""
    try:
        return converted(int, value, "value")
    except (TypeError, ValueError):
        return None


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int.

    Raises:
        ValueError: it is no whole number, or less than `least`.
    """
    whole = whole_number(value)
    if whole is None:
        raise ValueError(f"{name} must be a whole number, got {value!r} ({type(value).__name__})")
    if whole < least:
        raise ValueError(f"{name} must be at least {least}, got {whole}")
    return whole


def warn_the_caller(message: str) -> None:
    """A warning that points at the line outside this package that led to it, however deep inside it is given."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _module(frame).split(".")[0] in ("sfbc_core", "jaxtyping", "beartype"):
        frame = frame.f_back
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message, UserWarning, frame.f_code.co_filename, frame.f_lineno, _module(frame), registry=registry
    )


def _module(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "")
