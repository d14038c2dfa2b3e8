"""Files that hypothesis makes up: good ones are read exactly, bad ones are refused in words that name the file.

Faults are drawn anew in every run, as everywhere in these tests. Only files of random bytes are the same in every run: what
HDF5 itself makes of such a file is not ours, and must not fail a run once in a month.
"""

from __future__ import annotations

import io
import time
from functools import cache

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

h5py = pytest.importorskip("h5py", reason="h5py is in the extra sfbc-core[d4rl]")
pytest.importorskip("requests", reason="requests is in the extra sfbc-core[d4rl]")

from sfbc_core.tasks.d4rl.datasets import read_hdf5
from sfbc_core.tasks.d4rl.minari_datasets import read_minari
from sfbc_core.tasks.d4rl.oddities import rules_for

pytestmark = pytest.mark.filterwarnings("ignore:the last transition has neither")
FLAGS = ("terminals", "timeouts", "terminations", "truncations")
SCREEN = 600  # characters
MILLION = 1_000_000
CPU_SECONDS = 3.0  # measured: 0.05 to 0.3; a loop in Python over a million episodes takes more than this


@pytest.fixture(autouse=True)
def _d4rl_is_installed():
    """In place of the folder's fixture: the readers need h5py, but no simulator."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One file for all examples of this module, each of which writes it anew."""
    return tmp_path_factory.mktemp("fuzz") / "data.hdf5"


def write(target, tree, **options):
    """Nested dictionaries as groups and columns."""
    with h5py.File(target, "w") as file:
        add(file, tree, options)
    return target


def add(group, tree, options):
    for name, value in tree.items():
        if isinstance(value, dict):
            add(group.create_group(name), value, options)
        else:
            group.create_dataset(name, data=value, **(options if np.ndim(value) else {}))


def refusal(path, read):
    """The message with which a file is refused, which must begin with its path and fit on a screen."""
    with pytest.raises(ValueError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and len(message) < SCREEN, message
    return message


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def numbers(shape):
    """Of types that files have; those of float16 are exact in every other float."""
    kinds = st.sampled_from(["f2", "f4", "f8", ">f4", "i1", "i8", "bool"])
    low_and_high = st.tuples(st.integers(0, 2**32 - 1), kinds)
    return low_and_high.map(lambda drawn: np.random.default_rng(drawn[0]).uniform(-1, 1, shape).astype(drawn[1]))


@st.composite
def flags(draw, n):
    kind, column = draw(st.sampled_from(["bool", "u1", "i8", "f4", "f8"])), draw(st.booleans())
    values = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))).astype(kind)
    return values[:, None] if column else values


@st.composite
def d4rl_files(draw):
    n, width = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    columns = {
        "observations": draw(numbers((n, width))),
        "actions": draw(numbers((n, draw(st.integers(1, 3))))),
        "rewards": draw(numbers((n, 1) if draw(st.booleans()) else n)),
        "terminals": draw(flags(n)),
    }
    if draw(st.booleans()):
        columns["timeouts"] = draw(flags(n))
        if draw(st.booleans()):  # the next row's state but after a cut, where it is in no row
            following = np.roll(columns["observations"], -1, axis=0)
            cut = columns["timeouts"].reshape(-1).astype(bool) | (np.arange(n) == n - 1)
            columns["next_observations"] = np.where(cut[:, None], draw(numbers((n, width))), following)
    return columns


@st.composite
def episodes(draw, joined=None):
    """Groups of Minari's layout, with states that are vectors or, if `joined`, in two parts."""
    width, tree = draw(st.integers(1, 3)), {}
    joined = draw(st.booleans()) if joined is None else joined
    for number in draw(st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True)):
        n = draw(st.integers(1, 5))
        states = draw(numbers((n + draw(st.integers(0, 1)), width)))
        tree[f"episode_{number}"] = {
            "observations": {"observation": states, "desired_goal": states[:, :1]} if joined else states,
            "actions": draw(numbers((n, 2))),
            "rewards": draw(numbers(n)),
            "terminations": draw(flags(n)),
            "truncations": draw(flags(n)),
        }
    return tree


# ---- good files ------------------------------------------------------------------------------------------------------


def flat(column):
    return column.reshape(-1).astype(bool)


@examples(60)
@given(d4rl_files(), st.booleans())
def test_d4rls_layout_is_read_exactly(path, columns, compressed):
    options = {"chunks": True, "compression": "gzip"} if compressed else {}
    data = read_hdf5(write(path, columns, **options))
    terminals = flat(columns["terminals"])
    cuts = flat(columns.get("timeouts", np.zeros_like(terminals)))
    cuts[-1] = True  # the end of the file, if nothing else, is a cut
    expected = {**columns, "rewards": columns["rewards"].reshape(-1), "terminals": terminals}
    expected["timeouts"] = cuts & ~terminals
    assert data.tensors().keys() == expected.keys()
    for name, tensor in data.tensors().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name].astype(tensor.numpy().dtype), name, strict=True)


@examples(60)
@given(episodes())
def test_minaris_layout_is_read_exactly(path, tree):
    data = read_minari(write(path, tree))
    expected = {name: [] for name in ("observations", "actions", "rewards", "terminals", "timeouts")}
    for key in sorted(tree, key=lambda key: int(key.removeprefix("episode_"))):
        episode = tree[key]
        states, n = episode["observations"], len(episode["rewards"])
        if isinstance(states, dict):
            states = np.concatenate([states["observation"], states["desired_goal"]], axis=1)
        ends, cuts = flat(episode["terminations"]), flat(episode["truncations"])
        cuts[-1] = True
        rows = (states[:n], episode["actions"], episode["rewards"], ends, cuts & ~ends)
        for column, values in zip(expected.values(), rows, strict=True):
            column.append(values)
    for name, tensor in data.tensors().items():
        joined = np.concatenate(expected[name]).astype(tensor.numpy().dtype)
        np.testing.assert_array_equal(tensor.numpy(), joined, name, strict=True)


# ---- one fault in a good file ----------------------------------------------------------------------------------------

# What is done to a column; the words with which it is refused.
FAULTS = {
    "of strings": (lambda values: np.full(values.shape, "north", dtype="S5"), "must hold real numbers, got"),
    "of complex numbers": (lambda values: values.astype(complex), "must hold real numbers, got"),
    "of pairs": (lambda values: np.zeros(len(values), dtype=[("a", "f4"), ("b", "f4")]), "must hold real numbers, got"),
    "of text": (lambda values: ["north"] * len(values), "must hold real numbers, got"),
    "a group": (lambda values: {"inside": values}, "must be a column of numbers, got a group"),
    "without a dataspace": (lambda values: h5py.Empty("f4"), "got nothing"),
    "a single number": (lambda values: np.float32(1), "got ()"),
    "of matrices": (lambda values: np.zeros((len(values), 2, 2)), "for each transition, "),
    "of empty vectors": (lambda values: np.zeros((len(values), 0)), "for each transition, "),
    "too long": (lambda values: np.concatenate([values, values, values]), "lengths|length, got|transitions, got"),
    "not a number": (lambda values: np.full(values.shape, np.nan), "must be finite, found|must hold flags"),
    "infinite": (lambda values: np.full(values.shape, np.inf), "must be finite, found|must hold flags"),
    "beyond float32": (lambda values: np.full(values.shape, 1e300), "must be finite, found|must hold flags"),
}


BOTH = [pytest.param(read_hdf5, id="d4rl"), pytest.param(read_minari, id="minari")]
MAZE = "antmaze-medium-play-v2"


@pytest.mark.parametrize("fault", FAULTS)
@examples(12)
@given(columns=d4rl_files(), data=st.data())
def test_a_column_of_another_kind_is_refused(path, fault, columns, data):
    name = data.draw(st.sampled_from(sorted(columns)))
    change, words = FAULTS[fault]
    tasks = ["kitchen-complete-v0", "hopper-medium-v2", MAZE]
    if columns["observations"].shape[1] < 2 or name == "timeouts":
        tasks.remove(MAZE)  # where x and y are needed, and recorded timeouts are not looked at
    rules = rules_for(data.draw(st.sampled_from(tasks)))
    message = refusal(write(path, columns | {name: change(columns[name])}), lambda path: read_hdf5(path, rules))
    assert any(word in message for word in words.split("|")) and name in message, message


@pytest.mark.parametrize("fault", FAULTS)
@examples(12)
@given(tree=episodes(joined=False), data=st.data())
def test_a_column_of_another_kind_in_an_episode_is_refused(path, fault, tree, data):
    key = data.draw(st.sampled_from(sorted(tree)))
    name = data.draw(st.sampled_from(sorted(tree[key])))
    change, words = FAULTS[fault]
    if name == "observations" and fault == "a group":
        words = "are a dictionary of"
    message = refusal(write(path, tree | {key: tree[key] | {name: change(tree[key][name])}}), read_minari)
    assert any(word in message for word in words.split("|")), message
    # NaN and infinity are found in the joined rows, the rest in the episode.
    assert key in message or "must be finite" in message, message


@examples(25)
@given(tree=episodes(), data=st.data())
def test_an_episode_without_a_column_or_of_another_width_is_refused(path, tree, data):
    key = data.draw(st.sampled_from(sorted(tree)))
    name = data.draw(st.sampled_from(sorted(tree[key])))
    less = {other: values for other, values in tree[key].items() if other != name}
    assert f"{key} lacks ['{name}']" in refusal(write(path, tree | {key: less}), read_minari)
    n = len(tree[key]["rewards"])
    wide = {"episode_21": tree[key] | {"actions": np.zeros((n, 3))}}
    assert "actions of episode_21 have 3 coordinates" in refusal(write(path, tree | wide), read_minari)
    assert f"{key} must be a group" in refusal(write(path, tree | {key: np.zeros(3)}), read_minari)


@examples(25)
@given(columns=d4rl_files(), data=st.data())
def test_a_file_without_a_column_is_refused(path, columns, data):
    name = data.draw(st.sampled_from(["observations", "actions", "rewards", "terminals"]))
    del columns[name]
    assert f"missing ['{name}']" in refusal(write(path, columns), read_hdf5)


@pytest.mark.parametrize("read", BOTH)
def test_a_file_of_other_things_or_of_nothing_is_refused(path, read):
    for tree in ({}, {f"a name of some length {number}": 0.0 for number in range(2000)}):
        assert "expected" in refusal(write(path, tree), read)
    many = {"episode_0": {"observations": {f"key {number}": np.zeros((1, 1)) for number in range(2000)}}}
    many["episode_0"] |= {name: np.zeros(1) for name in ("rewards", "terminations", "truncations")}
    many["episode_0"]["actions"] = np.zeros((1, 1))
    assert "expected" in refusal(write(path, many), read) or read is read_minari
    assert "is a folder, expected an HDF5 file" in refusal(path.parent, read)
    with pytest.raises(FileNotFoundError, match=r"none\.hdf5: expected an HDF5 file there"):
        read(path.parent / "none.hdf5")


def test_no_rows_and_a_maze_without_a_position_are_refused(path):
    empty = {"observations": np.zeros((0, 2)), "actions": np.zeros((0, 1)), "rewards": [], "terminals": []}
    for task in ("kitchen-complete-v0", "hopper-medium-v2", "maze2d-umaze-v1", MAZE):
        assert "expected at least one transition" in refusal(
            write(path, empty), lambda path, task=task: read_hdf5(path, rules_for(task))
        )
    line = {"observations": np.zeros((3, 1)), "actions": np.zeros((3, 1)), "rewards": [0] * 3, "terminals": [0] * 3}
    found = refusal(write(path, line), lambda path: read_hdf5(path, rules_for(MAZE)))
    assert "must begin with x and y, got vectors of 1 coordinate" in found


# ---- files that are no longer whole, or never were one ---------------------------------------------------------------


@cache
def content_of(read, **options):
    buffer = io.BytesIO()
    n = 20
    ends = np.arange(n) % 5 == 4
    columns = {"observations": np.ones((n, 3)), "actions": np.zeros((n, 2)), "rewards": np.ones(n)}
    if read is read_hdf5:
        write(buffer, columns | {"terminals": ends, "timeouts": ends}, **options)
    else:
        write(
            buffer, {f"episode_{i}": columns | {"terminations": ends, "truncations": ends} for i in (0, 1)}, **options
        )
    return buffer.getvalue()


@pytest.mark.parametrize("read", BOTH)
@examples(50)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_anywhere_is_refused(path, read, share):
    content = content_of(read)
    path.write_bytes(content[: int(share * len(content))])
    assert "is not a complete HDF5 file" in refusal(path, read)


@pytest.mark.parametrize("read", BOTH)
@examples(30, derandomize=True)
@given(content=st.binary(max_size=3000), signed=st.booleans())
def test_a_file_of_any_bytes_is_refused(path, read, content, signed):
    path.write_bytes(b"\x89HDF\r\n\x1a\n" * signed + content)
    assert "is not a complete HDF5 file" in refusal(path, read)


@pytest.mark.parametrize("read", BOTH)
@examples(100, derandomize=True)
@given(place=st.integers(0, 2**31), bit=st.integers(0, 7), checked=st.booleans())
def test_a_damaged_file_is_read_or_refused_by_name(path, read, place, bit, checked):
    """One bit is wrong: in a number it may go unnoticed, anywhere else HDF5 fails, each time in another way."""
    content = bytearray(content_of(read, **({"fletcher32": True, "chunks": True} if checked else {})))
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        data = read(path)
    except ValueError:
        refusal(path, read)
    else:
        assert len(data) in (20, 40)


# ---- many --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["kitchen-complete-v0", "hopper-medium-v2", "maze2d-umaze-v1", MAZE])
@pytest.mark.parametrize("length", [1, MILLION])
def test_a_million_rows_are_read_at_once_however_long_the_episodes(tmp_path, length, task):
    last = (np.arange(MILLION) + 1) % length == 0
    rewards = np.arange(MILLION, dtype=np.float32)
    columns = {
        "observations": np.full((MILLION, 2), 20, "f4"),
        "actions": np.zeros((MILLION, 1), "f4"),
        "rewards": rewards,
    }
    if task != "hopper-medium-v2":  # without them, steps are counted up to the time limit
        columns["timeouts"] = np.zeros(MILLION, bool)
    write(tmp_path / "data.hdf5", columns | {"terminals": last})
    start = time.process_time()
    data = read_hdf5(tmp_path / "data.hdf5", rules_for(task))
    assert time.process_time() - start < CPU_SECONDS
    expected = {"maze2d-umaze-v1": 1, "hopper-medium-v2": MILLION // min(length, 1000)}
    assert len(data.episode_ends) == expected.get(task, MILLION // length)
    np.testing.assert_array_equal(data.rewards.numpy(), rewards)


def test_one_episode_of_a_million_steps_and_many_of_one_in_minaris_layout(tmp_path):
    """Many are 300 here: Minari has five columns for each episode, and a million episodes would take it an hour to write."""

    def episode(n, first):
        flags = np.zeros(n, bool)
        columns = {"observations": np.zeros((n + 1, 1), "f4"), "actions": np.zeros((n, 1), "f4")}
        return columns | {"rewards": first + np.arange(n), "terminations": flags, "truncations": flags}

    long = write(tmp_path / "long.hdf5", {"episode_0": episode(MILLION, 0)})
    start = time.process_time()
    data = read_minari(long)
    assert time.process_time() - start < CPU_SECONDS and data.episode_lengths.tolist() == [MILLION]
    many = write(tmp_path / "many.hdf5", {f"episode_{number}": episode(1, number) for number in range(300)})
    data = read_minari(many)
    assert data.episode_lengths.tolist() == [1] * 300 and data.rewards.tolist() == list(range(300))


def test_episodes_with_zeros_before_their_number_are_read_in_order(path):
    """Once `episode_01` was looked for as `episode_1`."""
    one = {"actions": np.zeros((1, 1)), "terminations": [1], "truncations": [0]}
    tree = {
        f"episode_{n}": one | {"observations": np.full((2, 1), float(n)), "rewards": [float(n)]}
        for n in ("10", "02", "1")
    }
    assert read_minari(write(path, tree)).rewards.tolist() == [1, 2, 10]
