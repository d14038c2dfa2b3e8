"""Trials on a cluster: a Dask scheduler hands them to its workers, and hands on those of a worker that died."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """An executor whose tasks run on the workers of a Dask cluster, for :func:`~sfbc_core.experiments.running.run_suite`.

    The workers need this package and see the same folders under the same paths: there a trial keeps its checkpoints, so that
    another worker goes on with what a dead one had begun. Give each worker one thread, and no limit of memory but your own:
    ``dask worker --nthreads 1 --memory-limit 0``.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises:
        ImportError: Dask is not installed.
        ConnectionError: no scheduler answers at that address, or it is no address; later, the scheduler is gone, or more
            workers died of one trial than Dask allows.
    """
    try:
        from dask.distributed import Client, KilledWorker
    except ImportError as error:
        raise ImportError('a cluster needs Dask: pip install "sfbc-core[cluster]"') from error
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answers at {address}: {error}") from error
    try:
        with client:
            # Not pure: a trial that failed is tried again when it is asked for again, and not answered from memory.
            yield client.get_executor(pure=False)
    except CancelledError as error:
        raise ConnectionError(
            f"the Dask scheduler at {address} is gone. What is done is stored: give the command again, with one that answers"
        ) from error
    except KilledWorker as error:
        raise ConnectionError(
            f"{error}\nWhat is done is stored, and what was begun goes on when the command is given again"
        ) from error
