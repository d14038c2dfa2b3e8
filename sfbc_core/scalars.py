"""Scalars along a computation, such as losses, for whoever listens: by default nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, float], None]  # (name, step, value)

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_part: ContextVar[str] = ContextVar("part", default="")


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Within this context, in this thread, hear every scalar that is told; None for nobody."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Within this context names begin with that of a part of the work: losses of five critics have the same name."""
    token = _part.set(f"{_part.get()}{name}/")
    try:
        yield
    finally:
        _part.reset(token)


def tell(name: str, step: int, value: float) -> None:
    """Tell a scalar.

    Args:
        name: what it is.
        step: when it was, in gradient steps for a loss.
        value: a number, read off the device already.
    """
    if (listener := _listener.get()) is not None:
        listener(f"{_part.get()}{name}", step, value)
