"""What the project's code never does: run what lies in a file (pickle and its kin), and use the network without being asked.

Read off the code, and for the network tried out as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sfbc_core", "book")
# Modules that turn bytes into running code, and those that talk to other machines; with all that is inside them.
PICKLES = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "runpy")
NETWORK = (
    *("socket", "_socket", "ssl", "socketserver", "urllib.request", "http.client", "http.server", "ftplib", "smtplib"),
    *("poplib", "imaplib", "telnetlib", "xmlrpc", "requests", "httpx", "httpcore", "aiohttp", "urllib3", "websockets"),
    *("websocket", "pooch", "fsspec", "wget", "huggingface_hub", "wandb", "minari", "torch.hub"),
)
# Functions that unpickle or run what they are given, always or without a word that forbids it.
NEVER = ("pandas.read_pickle", "torch.jit.load", "torch.package", "yaml.unsafe_load", "yaml.full_load", "yaml.load")
SAFE_WITH = {  # a word, the value with which the function is safe, and the default
    "torch.load": ("weights_only", True, False),  # False in the oldest torch that is allowed
    "numpy.load": ("allow_pickle", False, False),
    "numpy.lib.format.read_array": ("allow_pickle", False, False),
}
RUNS = ("eval", "exec", "compile", "builtins.eval", "builtins.exec")
# The exceptions, each with its reason.
ALLOWED = {
    # The whole of the network: files that a user asked for by the name of a task.
    ("sfbc_core/tasks/d4rl/download.py", "requests"),
    ("sfbc_core/tasks/d4rl/download.py", "requests.adapters"),
    ("sfbc_core/tasks/d4rl/download.py", "urllib3.util"),
    # One file of the installed package d4rl, which an import would run as well, together with every simulator.
    ("sfbc_core/tasks/d4rl/datasets.py", "exec_module"),
}


def inside(name: str, modules: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the modules or in one of them."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The full name of `np.load` and the like, given what was imported under which name; "" for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, names)):
        return f"{base}.{node.attr}"
    return ""


def imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Of everything that a statement imports: its name in the file, what that stands for, and what was loaded."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.split(".")[0]
            yield (alias.asname, alias.name, alias.name) if alias.asname else (first, first, alias.name)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            # `from http import client` loads a module, `from http import HTTPStatus` nothing that is listed.
            yield alias.asname or alias.name, full, node.module if inside(node.module, PICKLES + NETWORK) else full


def dangers(source: str) -> Iterator[str]:
    """What a source does of all that: the names of modules and functions."""
    nodes = list(ast.walk(ast.parse(source)))
    loads = [found for node in nodes for found in imported(node)]
    names = {short: full for short, full, _ in loads}
    yield from (module for _, _, module in loads if inside(module, PICKLES + NETWORK))
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func, names)
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name.rpartition(".")[2]
        words = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if last in ("import_module", "__import__"):  # a module by its name in a string
            given = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            yield from (module for module in given if inside(module, PICKLES + NETWORK))
        elif last == "exec_module":
            yield last
        elif name in RUNS or inside(name, NEVER):
            yield name
        elif name in SAFE_WITH:
            word, value, default = SAFE_WITH[name]
            # Positions and **options are not looked into: they count as the word that is dangerous.
            if words.get(word, default) is not value or len(node.args) > 1 or None in words:
                yield name


def found_in(root: Path) -> set[tuple[str, str]]:
    """(file, name) of everything that the code below a folder does."""
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    return {
        (path.relative_to(root).as_posix(), name)
        for path in files
        for name in dangers(path.read_text(encoding="utf-8"))
    }


def test_nothing_unpickles_and_only_the_download_uses_the_network():
    assert found_in(ROOT) == ALLOWED, "either a new danger, or an exception that is no longer needed"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("def f():\n    from pickle import load", ["pickle"]),
        ("import joblib as j", ["joblib"]),
        ("import torch\ntorch.load(path)", ["torch.load"]),
        ("import torch as t\nt.load(path, weights_only=False)", ["torch.load"]),
        ("from torch import load\nload(path)", ["torch.load"]),
        ("import torch\ntorch.load(path, weights_only=True)", []),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", ["numpy.load"]),
        ("import numpy as np\nnp.load(path, None, True)", ["numpy.load"]),
        ("import numpy as np\nnp.load(path, allow_pickle=maybe)", ["numpy.load"]),
        ("import numpy as np\nnp.load(path, **options)", ["numpy.load"]),
        ("import numpy as np\nnp.load(path)\nnp.load(path, allow_pickle=False)", []),
        ("import pandas as pd\npd.read_pickle(path)", ["pandas.read_pickle"]),
        ("import yaml\nyaml.load(text)", ["yaml.load"]),
        ("import yaml\nyaml.safe_load(text)", []),
        ("eval(path.read_text())", ["eval"]),
        ("exec(open(path).read())", ["exec"]),
        ("network.eval()", []),
        ("import re\nre.compile(x)", []),
        ("spec.loader.exec_module(module)", ["exec_module"]),
        ("import urllib.request", ["urllib.request"]),
        ("from urllib import request", ["urllib.request"]),
        ("from urllib.parse import unquote", []),
        ("from http import HTTPStatus", []),
        ("import http.client", ["http.client"]),
        ("from importlib import import_module\nimport_module('socket')", ["socket"]),
        ("import torch.hub\nimport torch\ntorch.load(path)", ["torch.hub", "torch.load"]),
        ("__import__('requests')", ["requests"]),
        ("import requests.adapters as a", ["requests.adapters"]),
    ],
)
def test_a_danger_is_found(tmp_path, source, found):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.py").write_text(source, encoding="utf-8")
    assert found_in(tmp_path) == {("book/page.py", name) for name in found}


IMPORT_ALL = """
import importlib, pkgutil, socket, sys

tried = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        tried.append((event, arguments[1:]))

class Closed(socket.socket):
    def __init__(self, *arguments, **options):
        raise OSError("there is no network while modules are imported")

sys.addaudithook(watch)
socket.socket = Closed
import sfbc_core

imported, missing = [], []
for module in pkgutil.walk_packages(sfbc_core.__path__, "sfbc_core.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
        imported.append(module.name)
    except ModuleNotFoundError as error:  # of an extra that is not installed
        missing.append(f"{module.name} needs {error.name}")
assert not tried, tried
assert not [name for name in missing if "needs sfbc_core" in name], missing
print(len(imported), len(missing))
"""


def test_no_module_uses_the_network_when_it_is_imported():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    imported, missing = map(int, done.stdout.split())
    modules = [
        path
        for path in (ROOT / "sfbc_core").rglob("*.py")
        if path.parent != ROOT / "sfbc_core" or path.stem != "__init__"
    ]
    assert imported + missing == len(modules) and imported > missing, (
        "every module was tried, and most of them are there"
    )
