"""Who may import whom (docs/overview.md): lower rooms never reach into higher ones."""

import ast
from pathlib import Path

from tests.helpers import ROOT

LEAVES = {
    "data": {
        "transforms",
        "cache",
        "image_folder",
        "loader",
        "workers",
        "pairs",
        "layout",
        "check",
    },
    "models": {
        "networks",
        "losses",
        "schedulers",
        "perceptual",
        "style_net",
        "style_objective",
        "style_flags",
        "choices",
        "sizes",
        "winograd",
        "fast_layers",
        "precision",
        "speed",
    },
}


def allowed(importer: str, imported: str) -> bool:
    """Whether module `importer` may import module `imported`, both in dotted form."""
    room, _, name = importer.partition(".")
    other_room, _, other = imported.partition(".")
    if room not in ("util", "data", "models", "options"):
        return True  # entry points, scripts, tests
    if room == "util":
        return other_room == "util"
    if room == "options":
        return other_room not in ("train", "test") and not other.endswith(("_model", "_dataset"))
    if other_room == "util":
        return True
    if other_room != room:
        return False  # data and models do not know each other, nor options
    leaves = LEAVES[room]
    base = f"base_{'dataset' if room == 'data' else 'model'}"
    if name in leaves:
        return other in leaves
    if name == base:
        return other in leaves
    if name == "":  # the package's own __init__: base and leaves, plug-ins only by name
        return other in leaves | {base}
    return other in leaves | {base} or (room == "models" and other.endswith("_model"))


def project_imports(path: Path) -> list[tuple[str, str]]:
    """(importer, imported) for every import of our own modules in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    importer = ".".join(part for part in parts if part != "__init__")
    rooms = {"util", "data", "models", "options", "train", "test", "scripts", "datasets"}
    edges = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = f"{parts[0]}.{base}".rstrip(".")
            submodules = [f"{base}.{alias.name}" for alias in node.names]
            is_module = [
                (ROOT / name.replace(".", "/")).with_suffix(".py").is_file() for name in submodules
            ]
            names = [n for n, m in zip(submodules, is_module, strict=True) if m] or [base]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Lazy":
            names = [ast.literal_eval(node.args[0])]
        else:
            continue
        edges += [(importer, name) for name in names if name.split(".")[0] in rooms]
    return edges


def test_imports_go_downwards_only():
    files = [
        p for room in ("util", "data", "models", "options") for p in (ROOT / room).rglob("*.py")
    ]
    wrong = [f"{a} imports {b}" for f in files for a, b in project_imports(f) if not allowed(a, b)]
    assert not wrong, "\n".join(wrong)


def test_the_rule_can_fail():
    assert not allowed("util.html", "data.transforms")
    assert not allowed("models.networks", "models.base_model")
    assert not allowed("data.aligned_dataset", "models.networks")
    assert not allowed("data", "data.aligned_dataset")


def test_leaves_and_util_take_plain_arguments():
    """They never read a flag from `opt`."""
    files = list((ROOT / "util").glob("*.py"))
    files += [ROOT / room / f"{name}.py" for room, names in LEAVES.items() for name in names]
    for path in files:
        if not path.exists():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            reads = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            assert not (reads and node.value.id == "opt"), f"{path.name}:{node.lineno}"


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
