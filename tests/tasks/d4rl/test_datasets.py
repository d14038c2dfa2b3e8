"""Files with D4RL's layout are found, downloaded and read, or refused with a reason."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import util

import numpy as np
import pytest
import torch

h5py = pytest.importorskip("h5py", reason="h5py is in the extra sfbc-core[d4rl]")

from sfbc_core.tasks.d4rl import datasets
from sfbc_core.tasks.d4rl.datasets import KNOWN, dataset_url, load_d4rl, read_hdf5
from sfbc_core.tasks.d4rl.download import DownloadError

needs_d4rl = pytest.mark.skipif(util.find_spec("d4rl") is None, reason="d4rl is in the extra sfbc-core[d4rl]")
NAME = "hopper-medium-v2"
N = 50


def columns(**changes):
    rng = np.random.default_rng(0)
    values = {
        "observations": rng.normal(size=(N, 11)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (N, 3)).astype(np.float32),
        "rewards": rng.normal(size=N).astype(np.float32),
        "terminals": np.arange(N) == N - 1,
        "timeouts": np.arange(N) % 10 == 4,
    }
    return values | changes


def write(path, values):
    with h5py.File(path, "w") as file:
        for name, column in values.items():
            if column is not None:
                file[name] = column
    return path


def test_columns_arrive_as_they_are(tmp_path):
    values = columns()
    data = read_hdf5(write(tmp_path / "data.hdf5", values))
    for name, tensor in data.tensors().items():
        np.testing.assert_array_equal(tensor.numpy(), values[name])


def test_what_came_after_a_cut_is_read_where_the_file_holds_it(tmp_path):
    values = columns()
    values["next_observations"] = np.roll(values["observations"], -1, axis=0)
    values["next_observations"][values["timeouts"]] = 7.0  # seen after the cut, and in no row
    found = read_hdf5(write(tmp_path / "data.hdf5", values)).transitions()
    assert len(found) == N
    np.testing.assert_array_equal(found.next_observations[values["timeouts"]], np.full((5, 11), 7.0))


def test_other_types_and_shapes_are_converted(tmp_path):
    values = columns()
    plain = read_hdf5(write(tmp_path / "plain.hdf5", values))
    doubles = {name: column.astype(np.float64) for name, column in values.items()}
    doubles |= {name: doubles[name][:, None] for name in ("rewards", "terminals", "timeouts")}
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        for name, column in doubles.items():
            file.create_dataset(name, data=column, compression="gzip", chunks=True)
    assert read_hdf5(tmp_path / "other.hdf5").fingerprint() == plain.fingerprint()


def test_states_that_float32_cannot_tell_apart_are_read_in_float64(tmp_path):
    states = np.column_stack([1e8 + np.arange(N) % 3 - 1, np.full(N, 0.1)])
    values = columns(observations=states, next_observations=np.roll(states, -1, axis=0))
    with pytest.warns(UserWarning, match="observations are kept in float64: float32 cannot tell"):
        data = read_hdf5(write(tmp_path / "far.hdf5", values))
    np.testing.assert_array_equal(data.observations.numpy(), states)
    np.testing.assert_array_equal(data.next_observations.numpy(), values["next_observations"])
    assert data.timeouts.sum() == 5, "the recorded cuts and no others"


def test_coarse_numbers_are_read_in_float32_without_a_warning(tmp_path, recwarn):
    for states in (
        np.full((N, 2), 0.1),
        np.arange(N, dtype=np.int64)[:, None] * [1, 0],
        np.full((N, 1), 1e8, np.float32),
    ):
        data = read_hdf5(write(tmp_path / "data.hdf5", columns(observations=states)))
        assert data.observations.dtype is torch.float32
        np.testing.assert_array_equal(data.observations.numpy(), states.astype(np.float32))
    assert not recwarn


def test_rewards_that_float32_cannot_tell_apart_are_read_with_a_warning(tmp_path):
    path = write(tmp_path / "data.hdf5", columns(rewards=1e8 + np.arange(N) % 3 - 1))
    with pytest.warns(UserWarning, match="rewards are used in float32, which cannot tell"):
        assert read_hdf5(path).rewards.dtype is torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": None, "actions": None}, r"missing \['actions', 'rewards'\]"),
        ({"rewards": np.zeros(3)}, r"same length, got .*'rewards': 3"),
        ({"timeouts": np.zeros(3)}, r"same length, got .*'timeouts': 3"),
        ({"terminals": np.full(N, 2)}, "terminals must hold flags"),
        ({"actions": np.full((N, 3), 7.0)}, r"actions must lie within \[-1, 1\]"),
        ({"observations": np.full((N, 11), np.nan)}, "observations must be finite"),
    ],
)
def test_bad_columns_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_hdf5(write(tmp_path / "data.hdf5", columns(**changes)))


def test_an_incomplete_file_or_one_that_is_not_hdf5_is_refused(tmp_path):
    page = tmp_path / "page.hdf5"
    page.write_text("<html>503</html>")
    part = write(tmp_path / "part.hdf5", columns())
    part.write_bytes(part.read_bytes()[:-2000])
    for path in (page, part):
        with pytest.raises(ValueError, match=f"{path.name} is not a complete HDF5 file"):
            read_hdf5(path)
    with pytest.raises(FileNotFoundError):
        read_hdf5(tmp_path / "none.hdf5")


def test_the_folder_is_the_given_one_then_the_variable_then_the_home(tmp_path, monkeypatch):
    for number, folder in enumerate(("given", "variable", "home/.d4rl/datasets")):
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder / f"{NAME}.hdf5", columns(rewards=np.full(N, float(number))))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "variable"))
    assert load_d4rl(NAME, folder=tmp_path / "given").rewards[0] == 0
    assert load_d4rl(NAME).rewards[0] == 1
    monkeypatch.delenv("D4RL_DATASET_DIR")
    assert load_d4rl(NAME).rewards[0] == 2


@needs_d4rl
def test_a_file_is_found_under_the_name_that_d4rl_gives_it(tmp_path):
    write(tmp_path / "maze2d-umaze-sparse-v1.hdf5", columns(observations=np.zeros((N, 4))))
    data = load_d4rl("maze2d-umaze-v1", folder=tmp_path, download=False)
    assert data.terminals.sum() == 0 and data.timeouts.sum() == 1, "it was not read with the rules for maze2d"


@needs_d4rl
def test_a_missing_file_is_reported_with_its_url_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_d4rl(NAME, folder=tmp_path, download=False)
    for words in (str(tmp_path), "hopper_medium-v2.hdf5", "http://rail.eecs.berkeley.edu/datasets"):
        assert words in str(caught.value)


@needs_d4rl
def test_an_unknown_name_is_refused_with_names_like_it(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'hoper-medium-v2'.*hopper-medium-v2"):
        load_d4rl("hoper-medium-v2", folder=tmp_path)


def test_without_d4rl_the_message_says_what_to_install_or_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_d4rl_urls", lambda: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        load_d4rl(NAME, folder=tmp_path)
    assert "sfbc-core[d4rl]" in str(caught.value) and str(tmp_path / f"{NAME}.hdf5") in str(caught.value)


@needs_d4rl
def test_the_urls_are_found_without_importing_a_simulator():
    code = (
        "import sys; from sfbc_core.tasks.d4rl.datasets import dataset_url; print(dataset_url('antmaze-large-play-v2'));"
        "assert not {'d4rl', 'gym', 'mujoco', 'mujoco_py', 'dm_control'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith(
        "Ant_maze_hardest-maze_noisy_multistart_True_multigoal_False_sparse_fixed.hdf5"
    )


@needs_d4rl
def test_known_checksums_are_of_tasks_that_exist():
    for name in KNOWN:
        assert "/kitchen/" in dataset_url(name)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder that is served in place of D4RL's server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "host"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        host = f"http://127.0.0.1:{httpd.server_address[1]}"
        monkeypatch.setattr(datasets, "_d4rl_urls", lambda: {n: f"{host}/{n}-of-host.hdf5" for n in (NAME, *KNOWN)})
        yield folder
        httpd.shutdown()
        thread.join()


def test_a_missing_file_is_downloaded_once(served, tmp_path):
    write(served / f"{NAME}-of-host.hdf5", columns())
    first = load_d4rl(NAME, folder=tmp_path / "cache")
    (served / f"{NAME}-of-host.hdf5").unlink()
    assert torch.equal(load_d4rl(NAME, folder=tmp_path / "cache").observations, first.observations)
    assert not (tmp_path / "cache" / f"{NAME}-of-host.hdf5.part").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [(NAME, "not a complete HDF5 file"), ("kitchen-complete-v0", "expected a file of 556544 bytes")],
)
def test_a_page_instead_of_the_file_is_refused(served, tmp_path, name, message):
    (served / f"{name}-of-host.hdf5").write_text("<html>down for maintenance</html>")
    with pytest.raises(DownloadError, match=message):
        load_d4rl(name, folder=tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
