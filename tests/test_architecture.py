"""The house as it was drawn: who imports whom, who may load MXNet, who prints, and what the command line costs."""

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import bioclass

PACKAGE = Path(bioclass.__file__).parent

# From the ground up: a room imports rooms of the floors below its own, and itself. Data never walks back.
FLOORS = (
    ("errors",),
    (
        "backend",
        "ensemble",
        "files",
        "fingerprints",
        "geometry",
        "metrics",
        "samples",
        "seeds",
        "significance",
        "storage",
        "validation",
    ),
    # The package itself hands out ``Samples`` to adapters.
    ("bioclass", "card", "checkpoint", "devices", "environment", "images", "recipe", "reliability"),
    ("batches", "decisions", "formats", "preprocess", "split"),
    ("answers", "augment", "networks", "run", "shelf"),
    ("dataset", "exported", "predict", "tiles"),
    ("check", "features"),
    ("evaluate", "fit"),
    ("export", "report", "rows", "study"),
    ("explain",),
    ("serve",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# The only rooms that are built on MXNet; two more ask it something if it is there, inside a function.
MXNET = {"backend", "networks", "predict", "features", "fit", "export", "explain"}
MXNET_WHEN_ASKED = {"devices", "environment"}
HEAVY = {
    "mxnet",
    "gluoncv",
    "sklearn",
    "pandas",
    "scipy",
    "matplotlib",
    "skimage",
    "cv2",
    "tifffile",
    "PIL",
    "pooch",
    "onnx",
    "onnxruntime",
    "jinja2",
    "starlette",
    "uvicorn",
    "python_multipart",
}


@dataclass(frozen=True)
class Import:
    """One import: of a module, by a module; ``lazy`` inside a function, ``typing`` for the type checker only."""

    by: str
    module: str
    lazy: bool
    typing: bool

    def __str__(self):
        return f"{self.by} imports {self.module}"


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports_of(by, tree):
    def walk(node, lazy, typing):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(by, alias.name, lazy, typing)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{by} imports relatively"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name for name in inside if name in TREES]
            for name in found or [node.module]:
                yield Import(by, name, lazy, typing)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield from (
                Import(by, arg.value, lazy, typing) for arg in node.args[:1] if isinstance(arg, ast.Constant)
            )
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                yield from walk(child, lazy, True)
            for child in node.orelse:
                yield from walk(child, lazy, typing)
        else:
            for child in ast.iter_child_nodes(node):
                yield from walk(child, lazy, typing)

    return list(walk(tree, False, False))


IMPORTS = [found for by, tree in TREES.items() for found in imports_of(by, tree)]
OURS = [found for found in IMPORTS if found.module.split(".")[0] == "bioclass"]


def test_every_room_has_a_floor():
    assert {room(module) for module in TREES} == set(FLOOR)


def test_imports_go_down():
    """At every level: an import inside a function only comes later, it does not turn the direction."""
    wrong = [
        str(found)
        for found in OURS
        if room(found.by) != room(found.module) and FLOOR[room(found.module)] >= FLOOR[room(found.by)]
    ]
    assert wrong == []


def test_no_module_imports_itself_in_a_circle():
    graph = {module: set() for module in TREES}
    for found in OURS:
        if not found.typing and not found.lazy:
            graph[found.by].add(found.module)
    while leaves := [module for module, below in graph.items() if not below]:
        for module in leaves:
            del graph[module]
        for below in graph.values():
            below.difference_update(leaves)
    assert graph == {}


def test_only_the_backend_names_mxnet():
    """Through it alone the numpy shim is in place before MXNet is."""
    named = {found.by for found in IMPORTS if found.module.split(".")[0] in ("mxnet", "gluoncv", "autogluon")}
    assert named == {"bioclass.backend"}


def test_only_some_rooms_use_the_backend():
    users = [found for found in OURS if found.module == "bioclass.backend"]
    assert {room(found.by) for found in users} <= MXNET | MXNET_WHEN_ASKED
    at_once = [str(found) for found in users if room(found.by) in MXNET_WHEN_ASKED and not found.lazy]
    typing = [str(found) for found in users if found.typing]
    assert set(at_once) <= set(typing)


def loaded_with(module):
    """What importing a module imports of bioclass, and on the way."""
    seen, todo = set(), [module]
    while todo:
        module = todo.pop()
        if module in seen or module not in TREES:
            continue
        seen.add(module)
        parts = module.split(".")
        todo += [".".join(parts[:i]) for i in range(1, len(parts))]
        todo += [found.module for found in IMPORTS if found.by == module and not found.lazy and not found.typing]
    return seen


@pytest.mark.parametrize("module", [module for module in TREES if room(module) not in MXNET])
def test_the_other_rooms_open_without_mxnet(module):
    assert "bioclass.backend" not in loaded_with(module)


def test_this_test_reads_what_is_there():
    """A reader of imports that finds none would keep every table true."""
    assert "bioclass.backend" in loaded_with("bioclass.predict")
    assert len(TREES) > 40 and len(OURS) > 150
    text = "import a\nif TYPE_CHECKING:\n import b\ndef f():\n from c import d\n importlib.import_module('e')\n"
    found = {(item.module, item.lazy, item.typing) for item in imports_of("x", ast.parse(text))}
    assert found == {("a", False, False), ("b", False, True), ("c", True, False), ("e", True, False)}


# Printing


PRINTING = {
    "print",
    "input",
    "breakpoint",
    "sys.stdout.write",
    "sys.stderr.write",
    "sys.exit",
    "traceback.print_exc",
}


@pytest.mark.parametrize("module", [module for module in TREES if room(module) != "cli"])
def test_only_the_command_line_prints(module):
    wrong = [
        f"line {node.lineno}"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTING
    ]
    assert wrong == []
    tools = {found.module.split(".")[0] for found in IMPORTS if found.by == module}
    assert not tools & {"rich", "typer", "click", "tqdm"}


# Code that no one's file should reach


@pytest.mark.parametrize("module", TREES)
def test_nothing_is_unpickled_or_evaluated(module):
    calls = {ast.unparse(node.func) for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)}
    assert not calls & {"eval", "exec", "os.system", "pickle.load", "pickle.loads", "yaml.load"}
    allowed = [
        node.lineno
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False"
    ]
    assert allowed == []


# What the command line loads

SCRIPT = """
import json, sys
import bioclass.cli
loaded = {"import": sorted(sys.modules)}
for line in json.loads(sys.argv[1]):
    try:
        bioclass.cli.app(line.split(), standalone_mode=False)
    except SystemExit as end:
        assert not end.code, (line, end.code)
    loaded[line] = sorted(sys.modules)
    print("ran", line)
json.dump({line: [name for name in names if "." not in name] for line, names in loaded.items()}, sys.stderr)
"""
LINES = [
    "--help",
    *(
        f"{verb} --help"
        for verb in (
            "fit",
            "evaluate",
            "predict",
            "export",
            "explain",
            "check",
            "runs",
            "network",
            "draw",
            "serve",
            "study",
            "report",
            "datasets",
            "recipes",
        )
    ),
    "--version",
    "datasets list",
    "datasets list --json",
    "recipes list",
    "recipes show digits-lenet --resolved",
    "recipes schema",
    "study --list",
    "study mnist-2017 --only table7-10k --dry-run",
]


def test_the_command_line_starts_light(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(LINES)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ran ") == len(LINES)
    loaded = json.loads(done.stderr.splitlines()[-1])
    first = {name: line for line, names in reversed(loaded.items()) for name in HEAVY & set(names)}
    assert first == {}  # the line that was the first to load it
    assert "numpy" not in loaded["--help"]
