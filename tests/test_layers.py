"""Who may import whom (docs/overview.md): lower rooms never reach into higher ones."""

import ast
from pathlib import Path

import pytest

from tests.helpers import ROOT

TOPS = ("util", "data", "models", "options")
HIGHER = ("train", "test", "translate", "scripts", "datasets", "benchmarks", "tests")
# Old names of things that have moved: each may import the rooms it stands for.
FACES = {
    "util.util": {"images", "tensors"},
    "util.visualizer": {"images", "training", "training_page"},
    "util.get_data": {"downloads"},
    "util.visdom_server": {"trackers"},
}
# Room of util -> the other rooms of util that it may import, besides the ground.
UTIL = {
    "images": set(),
    "labels": {"images"},
    "checkpoints": set(),
    "trackers": set(),
    "metrics": {"images"},
    "training_page": {"images", "labels"},
    "video": {"images", "metrics"},
    "results": {"images", "labels", "video"},
    "downloads": {"images", "checkpoints"},
    "serving": {"images", "results"},
    "training": {"images", "labels", "checkpoints", "trackers", "metrics", "training_page"},
}
BELOW = {  # top room -> rooms of util that it may import, besides the ground
    "models": {"images", "checkpoints"},
    "data": {"images", "labels"},
    "options": {"images", "labels", "checkpoints", "trackers", "metrics", "video"},
}
BASE = {"models": "base_model", "data": "base_dataset"}
# What options may know of models and data: the registries, and tables that flags choose from.
TABLES = {
    "models": {"", "compute", "generators", "discriminators", "layers", "losses", "schedulers"},
    "data": {"", "transforms"},
}
TYPES_ONLY = {"models.base_model", "data.loader"}  # for util.training


def room_of(module: str) -> tuple[str, str, str]:
    """("util", "images", "header") of "util.images.header"; what lies beside the rooms is in ""."""
    top, *rest = module.split(".")
    if rest and (ROOT / top / rest[0]).is_dir():
        return top, rest[0], ".".join(rest[1:])
    return top, "", ".".join(rest)


def is_leaf(module: str) -> bool:
    """Whether a module of data or models takes plain arguments: it never sees `opt`."""
    top, room, name = room_of(module)
    return bool(room) or not (name == "" or name.endswith(BASE[top].removeprefix("base")))


def allowed(importer: str, imported: str, for_types: bool = False) -> bool:
    """Whether module `importer` may import module `imported`, both in dotted form."""
    (top, room, name), (other_top, other_room, other) = room_of(importer), room_of(imported)
    if top not in TOPS:
        return True
    if other_top in HIGHER:
        return False
    if other_top == "util":
        if top != "util":
            ground = not other_room and imported not in FACES
            return ground or other_room in BELOW[top]
        if importer in FACES:
            return not other_room or other_room in FACES[importer]
        if not room:
            return not other_room and imported not in FACES
        own = other_room in ("", room) and imported not in FACES
        return own or other_room in UTIL[room]
    if top == "util":
        return room == "training" and for_types and imported in TYPES_ONLY
    if top == "options":
        table = ".".join(filter(None, (other_room, other)))  # of a room, its face alone
        return other_top == "options" or table in TABLES[other_top]
    if other_top != top:
        return False  # data and models do not know each other, nor options
    if is_leaf(importer):
        return is_leaf(imported)
    if importer == f"{top}.{BASE[top]}":
        return is_leaf(imported)
    # A package's own __init__ knows base and leaves, plug-ins only by name; a model may extend one.
    extends = top == "models" and name.endswith("_model") and other.endswith("_model")
    return is_leaf(imported) or other == BASE[top] or extends


def project_imports(path: Path) -> list[tuple[str, str, bool]]:
    """(importer, imported, only for types) for every import of our own modules in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    importer = ".".join(part for part in parts if part != "__init__")
    tree, edges = ast.parse(path.read_text()), []
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        edges += [(importer, name, id(node) in for_types) for name in _names(node, parts)]
    return [edge for edge in edges if edge[1].split(".")[0] in (*TOPS, *HIGHER)]


def _names(node: ast.AST, parts: tuple[str, ...]) -> list[str]:
    """Modules that a statement imports; a string that is a module's name counts as well."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            base = ".".join([*parts[: len(parts) - node.level], base]).rstrip(".")
        inner = [f"{base}.{alias.name}" for alias in node.names]
        return [name for name in inner if _is_module(name)] or [base]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
        name = node.value.partition(":")[0]
        return [name] if _is_module(name) else []
    return []


def _is_module(name: str) -> bool:
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def files() -> list[Path]:
    return [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]


def test_imports_go_downwards_only():
    edges = [edge for file in files() for edge in project_imports(file)]
    wrong = [f"{edge[0]} imports {edge[1]}" for edge in edges if not allowed(*edge)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("util.record", "data.transforms"),
        ("util.record", "util.images.header"),
        ("util.images.read", "util.training.log"),
        ("util.results.writer", "util.training.log"),
        ("util.training.console", "models.base_model"),
        ("util.training.console", "util.visualizer"),
        ("models.networks", "models.base_model"),
        ("models.compute.configure", "models.base_model"),
        ("models.base_model", "util.training.checkpointer"),
        ("data.aligned_dataset", "models.networks"),
        ("data", "data.aligned_dataset"),
        ("options.base_options", "util.training.console"),
        ("options.base_options", "models.base_model"),
        ("options.base_options", "scripts.tool"),
    ],
)
def test_the_rule_can_fail(importer: str, imported: str):
    assert not allowed(importer, imported)


def test_names_in_strings_count(tmp_path: Path):
    tree = ast.parse('networks = Lazy("models.networks")\ntable = {"a": "models.networks:Net"}')
    found = [name for node in ast.walk(tree) for name in _names(node, ("util", "record"))]
    assert found == ["models.networks"] * 2


def test_leaves_and_util_take_plain_arguments():
    """They never read a flag from `opt`; the session of a training is where plain begins. The old
    `Visualizer(opt)` is given what the reference gives it."""
    exempt = {"util.training.session", "util.visualizer"}
    for path in files():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        top = module.split(".")[0]
        if top == "options" or module in exempt or (top != "util" and not is_leaf(module)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            by_dot = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "opt"
            by_name = (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("getattr", "vars", "hasattr")
                and bool(node.args)
                and ast.unparse(node.args[0]) == "opt"
            )
            # The plug-in contract's get_scheduler(optimizer, opt) is the one exception.
            assert not by_dot and (not by_name or module == "models.schedulers"), (
                f"{module}:{node.lineno}"
            )


@pytest.mark.parametrize("room", [*UTIL, "compute", "export", "style"])
def test_a_room_says_its_sentence_and_is_small(room: str):
    folder = ROOT / ("util" if room in UTIL else "models") / room
    sentence = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert sentence and sentence.endswith(".")
    kinds = ("_tracker.py", "_metric.py", "_format.py")  # found by name, any number of them
    names = {path.name for path in folder.glob("*.py") if not path.name.endswith(kinds)}
    assert len(names - {"__init__.py"}) <= 12, sorted(names)


def test_every_room_is_known():
    rooms = {path.parent.name for path in (ROOT / "util").glob("*/__init__.py")}
    assert rooms == set(UTIL)


def test_nothing_is_pickled_or_evaluated_from_files():
    for path in [
        p for p in ROOT.rglob("*.py") if ".venv" not in p.parts and "tests" not in p.parts
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                assert call not in ("eval", "exec", "pickle.load", "pickle.loads"), path
                if call == "torch.load":
                    assert "weights_only=True" in ast.unparse(node), path
