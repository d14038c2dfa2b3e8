"""The machines of others (Codespaces, Binder) get what the README and .ci/run name, for the Python of the pins."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / ".binder"


def read(path):
    return (ROOT / path).read_text("utf-8")


def debian_packages(command):
    """What an `apt-get install` in a script names."""
    (found,) = re.findall(r"--no-install-recommends ([a-z0-9 -]+)", command)
    return set(found.split())


def test_a_development_container_has_the_packages_of_the_checks_and_makes_the_environment():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    command = container["postCreateCommand"]
    assert debian_packages(command) == debian_packages(read(".ci/run")) and "chromium" in command
    (made,) = re.findall(r"&& make (\S+)$", command)
    (environment,) = re.findall(r"^VENV := (\S+)$", read("Makefile"), re.M)
    assert made == environment
    assert container["forwardPorts"] == [int(re.findall(r"^PORT \?= (\d+)$", read("Makefile"), re.M)[0])]


def test_both_have_the_python_of_the_pins():
    (version,) = re.findall(r"^# Every package .* for Python ([\d.]+)\.", read("requirements.txt"), re.M)
    assert f":{version}-" in json.loads(read(".devcontainer/devcontainer.json"))["image"]
    assert read(".binder/runtime.txt").strip() == f"python-{version}"


def test_binder_installs_the_pins_and_the_project_and_needs_no_browser():
    lines = read(".binder/requirements.txt").splitlines()
    (pins,) = [line.split()[1] for line in lines if line.startswith("-r ")]
    assert (BINDER / pins).resolve() == ROOT / "requirements.txt"
    assert "." in lines  # the folder in which pip runs, the root of the repository
    assert set(read(".binder/apt.txt").split()) == debian_packages(read(".ci/run")) - {"chromium"}
