"""Policy files: both layouts, the actions that are drawn, and files that are refused."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfbc_core.tasks.d4rl.regeneration.policies import LAYOUTS, load_policy


@pytest.mark.parametrize("names", LAYOUTS)
def test_both_layouts_are_read_and_the_digest_is_the_files(policy_file, names):
    path = policy_file(11, 3, names=names)
    policy, digest = load_policy(path, 11, 3)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    action = policy.sample(np.zeros(11), np.random.default_rng(0))
    assert action.shape == (3,) and action.dtype == np.float32


def test_draws_are_tanh_of_a_gaussian_of_the_networks_mean_and_deviation(tmp_path):
    """Worked out by hand: relu(relu(2) + 1) = 3, so μ = 0.1 · 3 - 0.5 = -0.2 and log σ = -0.5 · 3 + 1 = -0.5."""
    layers = {"fc0": (2.0, 0.0), "fc1": (1.0, 1.0), "last_fc": (0.1, -0.5), "last_fc_log_std": (-0.5, 1.0)}
    weights = {}
    for name, (weight, bias) in layers.items():
        weights |= {f"{name}.weight": np.array([[weight]]), f"{name}.bias": np.array([bias])}
    np.savez(tmp_path / "policy.npz", **weights)
    policy, _ = load_policy(tmp_path / "policy.npz", 1, 1)
    generator = np.random.default_rng(0)
    draws = np.arctanh([policy.sample(np.array([1.0]), generator)[0] for _ in range(4000)])
    deviation = np.exp(-0.5)
    assert abs(draws.mean() + 0.2) < 4 * deviation / np.sqrt(4000), "four standard errors of a mean"
    assert abs(draws.std() - deviation) < 4 * deviation / np.sqrt(2 * 4000), "four standard errors of a deviation"


@pytest.mark.parametrize(
    ("dimensions", "options", "message"),
    [
        ((12, 3), {}, r"latent_pi.0 of the policy: expected a weight of shape \(16, 11\).*got \(16, 12\)"),
        ((11, 4), {}, r"mu of the policy: expected a weight of shape \(3, 12\).*got \(4, 12\)"),
        ((11, 3), {"mean": np.nan}, "mu of the policy: expected finite"),
        ((11, 3), {"names": ("a", "b", "c", "d")}, r"first layer is fc0.weight or latent_pi.0.weight, got \['a.bias'"),
        ((11, 3), {"names": ("fc0", "fc1", "last_fc", "d")}, "lacks last_fc_log_std.weight, last_fc_log_std.bias"),
    ],
)
def test_a_policy_of_another_robot_or_layout_is_refused(policy_file, dimensions, options, message):
    path = policy_file(*dimensions, **options)
    with pytest.raises(ValueError, match=rf"{path.name}: .*{message}"):
        load_policy(path, 11, 3)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "policy.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        load_policy(path, 11, 3)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        load_policy(tmp_path / "array.npy", 11, 3)
    with pytest.raises(FileNotFoundError):
        load_policy(tmp_path / "none.npz", 11, 3)


class Trap:
    """Unpickling it leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def test_python_objects_in_a_policy_are_refused_and_not_run(tmp_path):
    sprung = tmp_path / "sprung"
    weights = random_layers() | {"fc0.bias": np.array([Trap(sprung)], dtype=object)}
    np.savez(tmp_path / "policy.npz", **weights)
    with pytest.raises(ValueError, match=r"policy\.npz is not an \.npz file of plain arrays, without Python objects"):
        load_policy(tmp_path / "policy.npz", 1, 1)
    assert not sprung.exists()
    with np.load(tmp_path / "policy.npz", allow_pickle=True) as file:
        file["fc0.bias"]
    assert sprung.exists(), "it was no trap"


def random_layers():
    """A policy of one number in and one out, in rlkit's layout."""
    rng = np.random.default_rng(0)
    shapes = {"weight": (1, 1), "bias": 1}
    return {f"{name}.{part}": rng.normal(size=shape) for name in LAYOUTS[0] for part, shape in shapes.items()}


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("bad", ["north", 1j, np.nan, np.inf, 1e300])
def test_weights_and_biases_that_are_no_finite_numbers_are_refused(tmp_path, part, bad):
    values = random_layers()
    values[f"last_fc.{part}"] = np.full(values[f"last_fc.{part}"].shape, bad)
    np.savez(tmp_path / "policy.npz", **values)
    with pytest.raises(ValueError, match=r"policy\.npz: last_fc of the policy: expected finite floating-point numbers"):
        load_policy(tmp_path / "policy.npz", 1, 1)


def test_a_thousand_other_arrays_do_not_fill_the_screen(tmp_path):
    np.savez(tmp_path / "policy.npz", **{f"array {number}": np.zeros(1) for number in range(1000)})
    with pytest.raises(ValueError, match=r"first layer is fc0\.weight") as caught:
        load_policy(tmp_path / "policy.npz", 1, 1)
    assert len(str(caught.value)) < 600


@settings(derandomize=True, max_examples=200)  # the same damage in every run, as in the fuzz of HDF5 files
@given(place=st.integers(0, 2**31), bit=st.integers(0, 7), cut=st.booleans(), compressed=st.booleans())
def test_a_damaged_policy_is_read_or_refused_by_name(tmp_path_factory, place, bit, cut, compressed):
    path, buffer = tmp_path_factory.getbasetemp() / "damaged.npz", io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **random_layers())
    content = bytearray(buffer.getvalue())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content[: place % len(content)] if cut else content)
    try:
        load_policy(path, 1, 1)
    except ValueError as error:
        assert str(error).startswith(str(path)) and len(str(error)) < 600
    else:
        assert not cut
