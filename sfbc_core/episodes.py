"""Where episodes run: in this process, or in worker processes that step environments side by side."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol, runtime_checkable

import cloudpickle
import gymnasium
import numpy as np
from jaxtyping import Bool, Float


@runtime_checkable
class EnvironmentSource(Protocol):
    """Whatever makes fresh environments, such as a task."""

    def make_env(self) -> gymnasium.Env:
        """A new environment with the gymnasium API."""


class Outcomes(NamedTuple):
    """What one step brought in each of R running episodes."""

    observations: Float[np.ndarray, "R obs"]
    rewards: Float[np.ndarray, " R"]
    terminated: Bool[np.ndarray, " R"]
    truncated: Bool[np.ndarray, " R"]


def episode_seed(seed: int, number: int) -> int:
    """The seed of the environment in episode `number` of an evaluation."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class LocalEpisodes:
    """Episodes in this process.

    Args:
        make_env: makes the environments, one for each episode.
        seed: of the whole evaluation.

    Attributes:
        action_shape: the shape of an action, known once episodes have started.
        at: one number, the episode that was touched last.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env], seed: int) -> None:
        self._make_env, self._seed = make_env, seed
        self._envs: dict[int, gymnasium.Env] = {}
        self.action_shape: tuple[int, ...] = ()
        self.at = np.zeros(1, dtype=np.int64)

    def start(self, numbers: Sequence[int]) -> Float[np.ndarray, "R obs"]:
        """Make and reset the environments of these episodes, in place of those before."""
        self.close()
        observations = []
        for number in numbers:
            self.at[0] = number
            env = self._envs[number] = self._make_env()
            observations.append(env.reset(seed=episode_seed(self._seed, number))[0])
            self.action_shape = env.action_space.shape
        return np.stack(observations).astype(np.float32)

    def step(self, numbers: Sequence[int], actions: Float[np.ndarray, "R ..."]) -> Outcomes:
        """One step in each of these episodes."""
        rows = []
        for number, action in zip(numbers, actions, strict=True):
            self.at[0] = number
            rows.append(self._envs[number].step(action)[:4])
        observations, rewards, terminated, truncated = zip(*rows, strict=True)
        return Outcomes(
            np.stack(observations).astype(np.float32),
            np.array(rewards, dtype=np.float64),
            np.array(terminated, dtype=bool),
            np.array(truncated, dtype=bool),
        )

    def close(self) -> None:
        """Close the environments."""
        while self._envs:
            self._envs.popitem()[1].close()


class WorkerEpisodes:
    """Episodes spread over worker processes; the same interface and the same outcomes as :class:`LocalEpisodes`.

    gymnasium's AsyncVectorEnv would serve less well: it needs a process for each environment, and it goes on to step and
    reset those whose episode is over. Here a worker has many environments and steps only those that still run.

    Workers are spawned, not forked: a fork of a process that uses threads or a GPU can hang. Each imports the package anew,
    which takes seconds; that pays where an evaluation takes minutes.

    Args:
        source: makes the environments. Its `make_env` is sent to the workers, by cloudpickle.
        seed: of the whole evaluation.
        workers: their number.

    Attributes:
        action_shape: as in :class:`LocalEpisodes`.
    """

    def __init__(self, source: EnvironmentSource, seed: int, workers: int) -> None:
        self._name, self._seed = getattr(source, "name", type(source).__name__), seed
        context = multiprocessing.get_context("spawn")
        recipe = cloudpickle.dumps(source.make_env)  # unlike pickle, it takes what was defined in a notebook
        self._connections: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._at = []  # shared with each worker: the episode it touched last, to be read after its death
        try:
            for _ in range(workers):
                connection, other_end = context.Pipe()
                at = context.RawArray("q", 1)
                process = context.Process(target=_work, args=(other_end, recipe, seed, at), daemon=True)
                self._connections.append(connection)
                self._at.append(at)
                process.start()
                self._processes.append(process)
                other_end.close()  # so that the worker's death closes the pipe
        except BaseException:
            self.close()
            raise
        self.action_shape: tuple[int, ...] = ()
        self._worker_of: dict[int, int] = {}

    def start(self, numbers: Sequence[int]) -> Float[np.ndarray, "R obs"]:
        """Make and reset the environments of these episodes, in place of those before."""
        self._worker_of = {number: i % len(self._processes) for i, number in enumerate(numbers)}
        shares = self._shares(numbers)
        for worker, rows in shares.items():
            share = [numbers[row] for row in rows]
            self._at[worker][0] = share[0]
            self._send(worker, ("start", share))
        answers = {worker: self._receive(worker) for worker in shares}
        self.action_shape = next(iter(answers.values()))[1]
        return _merged({worker: answer[0] for worker, answer in answers.items()}, shares)

    def step(self, numbers: Sequence[int], actions: Float[np.ndarray, "R ..."]) -> Outcomes:
        """One step in each of these episodes."""
        shares = self._shares(numbers)
        for worker, rows in shares.items():
            self._send(worker, ("step", [numbers[row] for row in rows], actions[rows]))
        answers = {worker: self._receive(worker) for worker in shares}
        columns = zip(*answers.values(), strict=True)
        return Outcomes(*(_merged(dict(zip(answers, column, strict=True)), shares) for column in columns))

    def close(self) -> None:
        """End the workers; none is left when this returns."""
        for connection in self._connections:
            connection.close()  # a worker that waits for work reads the end of the file, and leaves
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def _shares(self, numbers: Sequence[int]) -> dict[int, list[int]]:
        """For each worker that has some of these episodes, their rows."""
        shares: dict[int, list[int]] = {}
        for row, number in enumerate(numbers):
            shares.setdefault(self._worker_of[number], []).append(row)
        return shares

    def _send(self, worker: int, request: tuple) -> None:
        try:
            self._connections[worker].send(request)
        except OSError as error:
            raise self._death(worker) from error

    def _receive(self, worker: int) -> tuple:
        try:
            answer = self._connections[worker].recv()
        except (EOFError, OSError) as error:
            raise self._death(worker) from error
        if isinstance(answer, str):
            raise RuntimeError(f"{self._where(worker)} failed in its worker process:\n{answer}")
        return answer

    def _death(self, worker: int) -> RuntimeError:
        process = self._processes[worker]
        process.join(5)
        return RuntimeError(
            f"a worker process died with exit code {process.exitcode}; the last it touched was {self._where(worker)}"
        )

    def _where(self, worker: int) -> str:
        number = self._at[worker][0]
        return f"episode {number} (seed {episode_seed(self._seed, number)}) of task {self._name!r}"


def _merged(parts: dict[int, np.ndarray], shares: dict[int, list[int]]) -> np.ndarray:
    """The workers' rows, in the order of the episodes."""
    rows = np.concatenate([shares[worker] for worker in parts])
    return np.concatenate(list(parts.values()))[np.argsort(rows)]


def _work(connection: Connection, recipe: bytes, seed: int, at: Sequence[int]) -> None:
    """A worker: does what it is asked until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which then closes the pipe
    try:
        episodes = LocalEpisodes(pickle.loads(recipe), seed)
        episodes.at = np.frombuffer(at, dtype=np.int64)
        while True:
            try:
                request, *arguments = connection.recv()
            except EOFError:
                break
            answer = getattr(episodes, request)(*arguments)
            connection.send((answer, episodes.action_shape) if request == "start" else tuple(answer))
        episodes.close()
    except Exception:
        with suppress(OSError):  # the parent may have left already, for reasons of its own
            connection.send(traceback.format_exc())
