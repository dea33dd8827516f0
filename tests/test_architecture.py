"""The house rules that a program can check: imports point down, files stay short, importing is light."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "weightpath"

#: Floor of each room; a module may import its own room and lower floors. Rooms on one floor do not import one another.
FLOORS = {
    "vocabulary": 0,
    "networks": 1,
    "tasks": 2,
    "rules": 3,
    "setup": 4,
    "scaling": 4.5,
    "trajectory": 5,
    "store": 5.5,
    "plot": 5.5,
    "analysis": 6,
    "learn": 7,
    "theory": 7,
    "inference": 7,
    "comparison": 8,
    "rule_comparison": 8,
    "studies": 9,
    "report": 10,
    "cli": 11,
}

#: Libraries that only the named rooms may use.
PRIVATE_LIBRARIES = {
    "matplotlib": {"plot"},
    "tyro": {"cli"},
    "jinja2": {"report"},
    "h5netcdf": {"store"},
    "pynwb": {"inference"},
    "sklearn": {"inference", "tasks"},
}


def room_of(module: str) -> str:
    """Room of `weightpath.<...>`: its first part; names with an underscore are vocabulary, cli_* belongs to cli."""
    first = module.split(".")[1]
    if first.startswith("_"):
        return "vocabulary"
    return "cli" if first.startswith("cli") else first


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name != "weightpath":
            found.append((name, path))
    return found


def imported(path: Path) -> set[str]:
    """Every absolute module name that the file imports, also inside functions; TYPE_CHECKING blocks count too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide their floor; write the whole name"
            # `from weightpath import theory` imports a room; `from weightpath import flow` a name of the contents page.
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "weightpath"
                else {node.module}
            )
    return names


def violations(name: str, names: set[str]) -> list[str]:
    room, wrong = room_of(name), []
    for other in sorted(names):
        if not other.startswith("weightpath."):
            continue
        target = room_of(other)
        if target == "vocabulary" or other == "weightpath.__version__":
            continue
        if target not in FLOORS:
            wrong.append(
                f"{name} imports {other}, which is no room of the house; import from the module that defines it"
            )
        elif target != room and FLOORS[target] >= FLOORS[room]:
            wrong.append(f"{name} (floor {FLOORS[room]}) imports {other} (floor {FLOORS[target]}): upward")
    return wrong


def test_imports_point_down():
    homeless = [name for name, _ in modules() if room_of(name) not in FLOORS]
    assert homeless == [], "these stand in no room; add the room to FLOORS and to docs/architecture.md"
    assert [wrong for name, path in modules() for wrong in violations(name, imported(path))] == []


def test_an_upward_import_is_found():
    assert violations("weightpath.networks.rate", {"weightpath.theory.outlier"})
    assert violations("weightpath.theory.outlier", {"weightpath.learn.flow"})
    assert violations("weightpath.cli_fit", {"weightpath.studies.base"}) == []


def test_libraries_stay_in_their_rooms():
    strayed = [
        (name, library)
        for name, path in modules()
        for library in {other.split(".")[0] for other in imported(path)} & set(PRIVATE_LIBRARIES)
        if room_of(name) not in PRIVATE_LIBRARIES[library]
    ]
    assert strayed == []


def test_files_stay_short():
    lines = {name: len(path.read_text().splitlines()) for name, path in modules()}
    assert {name: count for name, count in lines.items() if count > 300} == {}


def test_importing_is_light():
    code = (
        "import sys, weightpath\n"
        "dir(weightpath)\n"
        "heavy = {'jax', 'equinox', 'xarray', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_exists():
    import weightpath as wp

    for name in wp.__all__:
        assert getattr(wp, name) is not None
