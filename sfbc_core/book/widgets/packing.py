"""Arrays as 16-bit codes in base64, each row scaled by itself: the form in which the explorer's data travels."""

from __future__ import annotations

import base64

import numpy as np
from jaxtyping import Float, Num

LEVELS = 65535  # of a 16-bit code


def pack_rows(values: Float[np.ndarray, "S M"]) -> dict[str, str]:
    """Pack every row as 16-bit codes between its own minimum and maximum.

    Value ``(s, i)`` is read back as ``low[s] + step[s] * code[s, i]``, so its error is at most ``step[s] / 2``: half
    of a 65535th of the row's range.
    """
    low = values.min(axis=1)
    step = (values.max(axis=1) - low) / LEVELS
    codes = np.rint((values - low[:, None]) / np.where(step > 0, step, 1.0)[:, None])
    return {"codes": encode(codes, "<u2"), "low": encode(low, "<f8"), "step": encode(step, "<f8")}


def unpack_rows(packed: dict[str, str], num_columns: int) -> Float[np.ndarray, "S M"]:
    """Undo ``pack_rows``, as the browser does."""
    codes, low, step = (
        np.frombuffer(base64.b64decode(packed[name]), dtype)
        for name, dtype in (("codes", "<u2"), ("low", "<f8"), ("step", "<f8"))
    )
    return low[:, None] + step[:, None] * codes.reshape(-1, num_columns).astype(np.float64)


def encode(values: Num[np.ndarray, "..."], dtype: str) -> str:
    """The bytes of an array of the given dtype, in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()
