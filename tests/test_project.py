"""The house rules that a program can check: who may import whom, what a start may load, what ships, what is written."""

from __future__ import annotations

import ast
import graphlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmcli import main
from mmcli.models import catalogue
from tests.conftest import STARTER, Run
from tests.imports import HEAVY, MAY_NAME, loaded

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mmcli"
MODULES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = main.commands()
MAX_WHEEL_BYTES = 16_000_000
MAX_LINES = 500

# Room -> what of mmcli it may import; itself is understood. `main` and `__main__` may import anything.
MAY_IMPORT = {
    "errors": set(),
    "signals": set(),
    "offline": {"errors"},
    "network": {"errors"},
    "hubenv": {"errors", "telemetry"},
    "languages": set(),
    "sanitize": set(),
    "conversations": set(),
    "search_words": set(),
    "suggestions": set(),
    "telemetry": set(),
    "tomlfile": {"errors"},
    "config": {"errors", "tomlfile"},
    "files": {"errors"},
    "database": {"errors"},
    "schema": {"engine.messages"},
    "prompts": {"errors", "files", "tomlfile"},
    "models": {"errors", "config", "files", "hubenv", "network", "offline", "tomlfile"},
    "media": {"errors", "network"},
    "terminal": {"errors", "files", "sanitize", "schema"},
    "engine": {"errors", "config", "files", "media.types"},
    "speech": {"errors", "files", "hubenv", "languages", "sanitize", "media", "telemetry", "engine.hardware"},
    "runtime": {
        *(
            "errors",
            "config",
            "files",
            "signals",
            "sanitize",
            "languages",
            "models",
            "media",
            "engine",
            "speech",
            "embed",
            "documents",
        ),
    },
    "chat": {
        "documents",
        *("errors", "config", "conversations", "files", "signals", "suggestions", "models", "media", "engine"),
        *("history", "speech", "runtime", "terminal", "extraction"),
    },
    "documents": {"errors", "telemetry", "media", "engine"},
    "jobs": {"errors", "files", "languages", "schema", "media", "engine", "speech", "documents", "extraction", "embed"},
    "extraction": {"errors", "engine", "documents"},
    "embed": {"errors", "files", "telemetry", "media"},
    "library": {
        "errors",
        "files",
        "database",
        "search_words",
        "schema",
        "languages",
        "telemetry",
        "media",
        "embed",
        "documents",
    },
    "outputs": {"errors", "files", "jobs", "media", "documents", "schema"},
    "history": {
        "errors",
        "config",
        "database",
        "files",
        "schema",
        "search_words",
        "media.types",
        "engine.messages",
        "engine.protocol",
    },
    "health": {"errors", "__version__", "config", "offline", "models", "media", "engine", "history", "speech"},
    "commands": {
        *("errors", "config", "files", "signals", "models", "media", "engine", "terminal", "health", "jobs"),
        *("outputs", "history", "chat", "speech", "languages", "tomlfile", "prompts", "runtime", "conversations"),
        *("suggestions", "sanitize", "extraction", "documents", "embed", "library", "search_words"),
    },
}


@dataclass(frozen=True)
class Import:
    module: str  # absolute, "mmcli.engine.local.kv_cells"
    for_types: bool  # under `if TYPE_CHECKING`
    line: int
    deeper: str = ""  # "mmcli.engine.local.kv_cells.Store", which may be a module too


def imports(path: Path) -> list[Import]:
    return list(_imports(ast.parse(path.read_text("utf-8")), for_types=False))


def _imports(node: ast.AST, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, for_types, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"a relative import in line {child.lineno}"
            assert child.module is not None
            # `from mmcli import config` may mean a module, `from mmcli.errors import X` never does more than errors
            is_room = child.module in ("mmcli", "mmcli.media", "mmcli.engine")
            for deeper in (f"{child.module}.{alias.name}" for alias in child.names):
                yield Import(deeper if is_room else child.module, for_types, child.lineno, deeper)
        elif isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from _imports(child, for_types=True)
        else:
            yield from _imports(child, for_types)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


by_name = pytest.mark.parametrize("path", MODULES, ids=named)


@by_name
def test_imports_point_down_only(path: Path) -> None:
    if room(path) in ("main", "__main__", "__init__"):
        return
    allowed = MAY_IMPORT[room(path)] | {room(path)}
    for item in imports(path):
        if not item.module.startswith("mmcli.") or item.module == "mmcli.__version__":
            continue
        wanted = item.module.removeprefix("mmcli.")
        if room(path) == "terminal" and item.for_types:
            continue  # it may know the shape of what it shows
        assert any(wanted == name or wanted.startswith(f"{name}.") for name in allowed), f"line {item.line}: {wanted}"


def test_no_module_imports_itself_in_the_end() -> None:
    """Not in a function either."""
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES}
    needed = {
        name: {item.deeper if item.deeper in names else item.module for item in imports(path) if not item.for_types}
        for name, path in names.items()
    }
    graphlib.TopologicalSorter(needed).prepare()  # CycleError names the modules


def test_a_class_name_stands_for_one_thing() -> None:
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


@by_name
def test_each_library_has_its_room(path: Path) -> None:
    for item in imports(path):
        places = MAY_NAME.get(item.module.split(".")[0])
        if places is None or item.for_types:
            continue
        assert any(
            named(path) == place or (place.endswith("/") and named(path).startswith(place)) for place in places
        ), f"line {item.line}: {item.module}"


@by_name
def test_only_one_file_loads_llama_cpp(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if any(re.fullmatch(r"llama_cpp(\.\w+)?", text) for text in texts):  # importlib.import_module("llama_cpp…")
        assert named(path) == "engine/local/bindings.py"


@by_name
def test_only_one_file_knows_typer_from_the_inside(path: Path) -> None:
    for item in imports(path):
        if item.module.startswith(("typer.", "typer._")):
            assert named(path) == "commands/parsing.py", f"line {item.line}: {item.module}"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "typer":
            assert node.attr[0].isupper(), f"line {node.lineno}: typer.{node.attr}"  # its classes, not its modules


@by_name
def test_few_files_call_llama_cpp(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("native", "bindings.native"):
            callers = ("bindings", "mtmd", "context", "devices", "probe", "tts")
            assert named(path) in {f"engine/local/{name}.py" for name in callers}


@by_name
def test_only_the_terminal_room_prints_and_only_main_exits(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "SystemExit" not in ast.unparse(node.exc), f"line {node.lineno}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        where = f"line {node.lineno}: {called}"
        if called in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "typer.secho"):
            assert room(path) == "terminal", where
        if called in ("sys.exit", "os._exit", "exit", "quit", "os.abort"):
            assert room(path) == "main", where


@by_name
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@by_name
def test_a_module_opens_by_saying_what_it_hides(path: Path) -> None:
    if path.read_text("utf-8").strip():
        assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


# what a start loads


def test_the_command_line_loads_nothing_heavy(environment: dict[str, str], tmp_path: Path) -> None:
    assert not HEAVY & loaded("import mmcli.main", environment, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--version"], HEAVY),
        (["--help"], HEAVY),
        (["ask", "--help"], HEAVY),
        (["help", "temperature"], HEAVY),
        (["ask", "none.png", "What?", "-m", "starter"], HEAVY - {"rich"}),
        (["ask", "What?", "-m", "none"], HEAVY - {"rich"}),
        (["ask", "What?", "-m", "qwen3-vl-4b"], HEAVY - {"rich"}),  # not here: what could fetch it is not loaded
        (["models"], HEAVY - {"psutil"}),  # tells whether each fits the memory
        (["show", "starter"], HEAVY - {"psutil"}),
        (
            ["ask", "Hello!", "-m", "starter"],
            {"av", "httpx", "PIL", "numpy", "rich", "huggingface_hub", "faster_whisper"},
        ),
        (
            ["ask", str(ROOT / "docs" / "pictures" / "shapes.png"), "What?", "-m", "starter"],
            {"av", "pypdfium2", "llguidance", "fastjsonschema", "cv2", "onnxruntime", "rich", "faster_whisper"},
        ),
        (
            ["caption", str(ROOT / "docs" / "pictures" / "shapes.png"), "-m", "starter"],
            {"av", "pypdfium2", "llguidance", "fastjsonschema", "cv2", "onnxruntime", "rich", "faster_whisper"},
        ),
    ],
)
def test_a_command_loads_only_what_it_needs(
    environment: dict[str, str], tmp_path: Path, arguments: list[str], unwanted: set[str]
) -> None:
    code = f"import os, sys; sys.stdin = open(os.devnull); from mmcli import main; main.run({arguments})"
    assert not unwanted & loaded(code, environment, tmp_path)


def test_help_does_not_render_markdown(environment: dict[str, str], tmp_path: Path) -> None:
    assert "rich.markdown" not in loaded("import mmcli.main", environment, tmp_path)


# what ships


def test_every_builtin_model_s_files_are_in_the_package() -> None:
    entries = catalogue.load()
    assert "starter" in entries
    for entry in entries.values():
        if entry.builtin:
            assert (STARTER / entry.weights.file).is_file()
            assert entry.projector is None or (STARTER / entry.projector.file).is_file()


def test_the_wheel_holds_the_catalogue_and_the_starter_and_is_small(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    built = uv and subprocess.run(
        [uv, "build", "--wheel", "--offline", "--no-config", "--out-dir", tmp_path, ROOT],
        capture_output=True,
        timeout=300,
    )
    if not built or built.returncode != 0:  # no build tool on this machine: see at least what it would be told
        told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
        assert told["packages"] == ["mmcli"]
        assert told["force-include"] == {"models.toml": "mmcli/models.toml"}
        assert sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.suffix != ".pyc") < MAX_WHEEL_BYTES
        return
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES
    names = set(zipfile.ZipFile(wheel).namelist())
    starter = {f"mmcli/models/starter/{name}" for name in ("starter.gguf", "starter-mmproj.gguf", "demo.png")}
    assert {"mmcli/models.toml", "mmcli/main.py", *starter} <= names
    assert all(name.startswith(("mmcli/", "mmcli-")) for name in names)


def test_no_lock_file_is_kept() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    if shutil.which("git") and (ROOT / ".git").exists():
        tracked = subprocess.run(["git", "ls-files", "uv.lock"], cwd=ROOT, capture_output=True, text=True)
        assert tracked.stdout == ""


# the tools


@pytest.mark.parametrize(
    "tool", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy", "--strict", "mmcli")], ids=" ".join
)
def test_the_tools_have_nothing_to_say(tool: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True)
    if "No module named" in done.stderr:
        pytest.skip(f"{tool[0]} is not installed")
    assert done.returncode == 0, done.stdout + done.stderr


# what is written


def commands(page: Path) -> Iterator[list[str]]:
    """The words after each `mmcli` that a page tells people to type, without quoted ones and redirections."""
    kind, goes_on = None, False
    for line in page.read_text("utf-8").splitlines():
        if fence := re.match(r"```(\w*)", line):
            kind = fence[1] if kind is None else None
            continue
        is_typed = kind in ("sh", "bash") or (kind == "console" and (goes_on or line.startswith("$ ")))
        goes_on = is_typed and line.endswith(("\\", "|", "do"))
        if is_typed:
            bare = re.sub(r"\"(?:\$\w+|[^\"$]*)\"|'(?!mmcli)[^']*'", "QUOTED", line.split("  #")[0])
            for typed in re.findall(r"(?:^|[\s'(/])mmcli (\w[^|;<>)]*)", bare):
                yield typed.split()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_only_commands_and_options_there_are(page: Path) -> None:
    known = {"--help", "--help-all", "-h", "--version", "-V"}
    for name, *words in commands(page):
        if f"{name} {' '.join(words[:1])}" in COMMANDS:
            name = f"{name} {words.pop(0)}"
        assert name in COMMANDS
        options = known | {option for param in COMMANDS[name].params for option in (*param.opts, *param.secondary_opts)}
        for word in words:
            if re.match(r"-{1,2}[a-z]", word):
                assert word.split("=")[0] in options, f"mmcli {name} {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_s_links_lead_somewhere(page: Path) -> None:
    for file, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", file):
            continue
        target = page.parent / file if file else page
        assert target.exists(), file
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{file}#{heading}"


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"mmcli {name.split()[0]}" in text


def test_the_manual_explains_every_option_and_its_variable() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    for name, command in COMMANDS.items():
        for param in command.params:
            for word in (*param.opts, *param.secondary_opts, param.envvar):
                if word and word.startswith(("-", "MMCLI_")):
                    assert f"`{word}" in text, f"{name} {word}"


def test_the_manual_explains_every_field_of_the_json(mmcli: Run) -> None:
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    told = mmcli("ask", ROOT / "docs" / "pictures" / "shapes.png", "How many?", "-m", "starter", "--json").json
    for key in (*told, *told["receipts"][0], *told["usage"], *told["context"], *told["model"]):
        assert re.search(rf"`[^`]*\b{key}[`.]", text), key


def test_the_manual_s_first_question_is_answered_as_it_says(mmcli: Run) -> None:
    """The README's own first command, with the built-in model."""
    done = mmcli(
        "ask", ROOT / "docs" / "pictures" / "shapes.png", "What is in this picture?", "-m", "starter", "--temp", "0"
    )
    assert done.status == 0
    assert {"circle", "square", "star"} <= done.words
