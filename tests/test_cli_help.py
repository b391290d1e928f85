"""What a new user sees first: mmcli alone, --help, --help-all, `mmcli help`, --version."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmcli as package
from mmcli import main
from mmcli.commands import pages, parsing
from mmcli.terminal import help as screen
from tests.conftest import Run
from tests.terminals import Terminal

COMMANDS = main.commands()
PAGES = {page.path.removeprefix("mmcli").strip(): page for page in parsing.every_page(parsing.build(main.app))}
OPTIONS = [(name, param) for name, command in COMMANDS.items() for param in command.params]
SHOWN = [(name, option) for name, page in PAGES.items() for option in page.options]
WIDTHS = (60, 80, 100, 120, 200)
LONGEST = 60  # lines of a page at 80 columns: what a large window shows at once

a_command = pytest.mark.parametrize("name", PAGES, ids=lambda name: name or "mmcli")


def lines(name: str, columns: int = 80, *, everything: bool = False) -> list[str]:
    """A command's page as `--help` (or `--help-all`) prints it: test_what_is_printed_is_the_page shows that."""
    page = screen.lines(PAGES[name], columns, everything=everything)
    return ["".join(text for text, _ in line) for line in page]


# the pages


def test_mmcli_alone_shows_what_it_can_do(mmcli: Run) -> None:
    done = mmcli()
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == mmcli("--help").stdout == mmcli("help").stdout
    for name in COMMANDS:
        if " " not in name:
            assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_is_printed_is_the_page(mmcli: Run, columns: int) -> None:
    for arguments, name, everything in (
        (["ask", "--help"], "ask", False),
        (["history", "show", "--help-all"], "history show", True),
    ):
        done = mmcli(*arguments, env={"COLUMNS": str(columns)})
        assert (done.status, done.stderr) == (0, "")
        assert done.stdout.splitlines() == lines(name, min(columns, 120), everything=everything)


def test_every_command_has_one_line_at_80_columns() -> None:
    shown = lines("")
    for name in COMMANDS:
        if " " not in name:
            (line,) = [line for line in shown if line.startswith(f"  {name} ")]
            assert line.endswith(PAGES[name].about)


@a_command
def test_a_page_fits_a_window_and_every_option_a_line(name: str) -> None:
    shown = lines(name)
    assert len(shown) <= LONGEST
    assert max(map(len, shown)) <= 80
    for option in PAGES[name].options:
        found = [line for line in shown if re.match(rf"  (-\w, |    ){option.name}[ /]", line)]
        assert len(found) == (0 if option.is_rare else 1), option.name
        if not option.is_rare:
            (line,) = found
            assert line.endswith((option.about, f"(default: {option.default})"))  # nothing of it on a second line
            assert option.about in line and f" {option.value}" in line


@a_command
def test_a_page_with_everything_has_every_name_value_default_and_variable(name: str) -> None:
    text = "\n".join(lines(name, 120, everything=True))
    for param in COMMANDS[name].params if name else []:
        names = [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else [param.metavar]
        assert all(re.search(rf"{re.escape(text)}(?![\w-])", text) for text in names)
        assert f"[{param.envvar}]" in text if param.envvar else True
    for option in PAGES[name].options:
        assert option.default in text
    assert "-h, --help" in text


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("everything", [False, True])
def test_pages_fit_the_width_and_names_and_values_are_never_cut(columns: int, everything: bool) -> None:
    for name, page in PAGES.items():
        shown = lines(name, columns, everything=everything)
        assert max(map(len, shown)) <= columns
        for option in page.options:
            if everything or not option.is_rare:
                spelled = rf"{option.name}(, --[a-z-]+)*(/--[a-z-]+)?" + re.escape(f" {option.value}".rstrip())
                assert any(re.match(rf"  (-\w, |    ).*{spelled}( |$)", line) for line in shown), option.name


def test_a_page_in_a_pipe_has_80_columns_and_no_colors(mmcli: Run) -> None:
    assert mmcli("ask", "--help", env={"TERM": "xterm-256color"}).stdout.splitlines() == lines("ask", 80)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("plain", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["colors", "NO_COLOR", "dumb"])
def test_a_page_on_a_screen(environment: dict[str, str], tmp_path: Path, columns: int, plain: dict[str, str]) -> None:
    shown = Terminal(["ask", "--help"], environment | plain, tmp_path, columns=columns, rows=70)
    assert shown.end() == 0
    assert shown.text.splitlines() == lines("ask", columns)
    has_colors = re.search(rb"\x1b\[[\d;]*3\dm", shown.raw) is not None
    assert has_colors == (not plain)
    assert (b"\x1b" in shown.raw) == ("TERM" not in plain)  # bold is no color


@a_command
def test_a_page_says_in_one_sentence_how_options_are_set_for_good(mmcli: Run, name: str) -> None:
    text = " ".join(" ".join(lines(name)).split())
    assert text.count("MMCLI_") <= 1
    said = re.search(r"`mmcli config set ([\w-]+) (\w+)`, or (MMCLI_\w+)=(\w+) in the environment", text)
    assert said or not any(o.variable and o.value == "N" and not o.is_rare for o in PAGES[name].options)
    if said:
        assert said[3] == f"MMCLI_{said[1].replace('-', '_').upper()}" and said[2] == said[4]
        assert mmcli("config", "set", said[1], said[2]).status == 0


def test_the_rare_options_are_counted_and_the_way_to_them_is_told() -> None:
    n_rare = sum(option.is_rare for option in PAGES["ask"].options)
    assert n_rare >= 10
    assert lines("ask")[-1] == f"{n_rare} more options, and more about each: mmcli ask --help-all"
    assert {option.is_rare for name, option in SHOWN if option.name == "--offline"} == {True}


def test_every_page_at_once(mmcli: Run) -> None:
    text = mmcli("--help-all").stdout
    for name in COMMANDS:
        assert f"Usage: mmcli {name} " in text


@pytest.mark.parametrize(("command", "param"), OPTIONS, ids=[f"{name} {param.name}" for name, param in OPTIONS])
def test_every_option_says_what_it_is_for(command: str, param: object) -> None:
    assert param.help  # type: ignore[attr-defined]


def test_a_mark_can_be_taken_back_for_one_command() -> None:
    rare = {(name, option.name): option.is_rare for name, option in SHOWN}
    assert rare["ask", "--voice-model"] and not rare["voice", "--voice-model"]


@pytest.mark.parametrize(
    ("text", "about", "more"),
    [
        ("One line.", "One line", ""),
        ("One. Two. Three.", "One", "Two. Three."),
        ("Also e.g. this one. auto: then.", "Also e.g. this one", "auto: then."),
        ("A .gguf file, 0.2 or\n    more.", "A .gguf file, 0.2 or more", ""),
    ],
)
def test_a_help_text_begins_with_its_short_line(text: str, about: str, more: str) -> None:
    assert pages.split(text) == (about, more)


@pytest.mark.parametrize(("command", "param"), OPTIONS, ids=[f"{name} {param.name}" for name, param in OPTIONS])
def test_every_setting_s_variable_is_named_after_its_option(command: str, param: object) -> None:
    variable, name = param.envvar, param.name  # type: ignore[attr-defined]
    assert variable in (None, f"MMCLI_{name.upper()}")
    if variable is None:  # what belongs to one command line only
        assert name in {
            *("media", "question", "attach", "recursive", "damaged_ok", "names", "name", "continue_"),
            *("limit", "talk", "talks", "everything", "words", "form", "older_than", "yes", "key", "values", "shell"),
            *("from_file", "null", "sidecar", "output", "overwrite", "rename", "dry_run", "jsonl", "print0"),
            *("check", "accept_changed", "adopt", "partial", "consent", "schema", "shape", "bounds"),
            *("frames", "fps", "sample", "exact", "sound", "no_sound", "hear"),  # of one film
            *("ask", "rows", "table", "csv_safe", "labels", "labels_file", "multi", "abstain", "truth", "report"),
            *("move", "copy", "example", "examples", "by", "texts", "boxes", "confidence", "min_confidence", "review"),
            *("use", "param", "save", "extract", "keywords_from", "embed", "here"),
            *("by_sight", "tables"),
            *("paths", "no_recursive", "no_pages", "no_frames", "ocr", "speech", "retry", "list", "forget", "repair"),
            *("merge", "watch", "no_wait", "like", "and_", "not_", "words_only", "same", "similar", "since", "until"),
            *(
                "on",
                "camera",
                "place",
                "near",
                "within",
                "in_",
                "kind",
                "least",
                "verify",
                "files",
                "sources",
                "show",
                "html",
            ),
            *("pages", "every_page", "cite", "ocr"),
            *("from_", "query", "anyway"),  # one question's library
            *("rebuild", "undo", "mic", "retry_cut", "until_silence", "test", "seconds", "show", "man"),
        }


# a stranger's ten seconds


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("temperature", "mmcli help temperature"),
        ("which models do I have", "models          List models: what is here"),
        ("the default model", "mmcli config set model starter"),
        ("subtitles", "-f srt"),
        ("going on", "mmcli ask -c"),
        ("stdin", "cat docs/pictures/phone.jpg | mmcli ask"),
    ],
)
def test_the_first_page_answers_what_strangers_ask(wanted: str, told: str) -> None:
    shown = lines("")
    assert len(shown) <= LONGEST
    assert any(told in line for line in shown)


# mmcli help


@pytest.mark.parametrize("name", ["ask", "history show", "config"])
def test_help_with_a_command_is_its_page(mmcli: Run, name: str) -> None:
    assert mmcli("help", *name.split()).stdout == mmcli(*name.split(), "--help").stdout
    assert mmcli("help", "--all", *name.split()).stdout == mmcli(*name.split(), "--help-all").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("temperature", "--temperature NUMBER"),
        ("randomness", "--temperature NUMBER"),
        ("temprature", "--temperature NUMBER"),
        ("subtitles", "mmcli transcribe film.mkv -f srt"),
        ("default model", "mmcli config set model NAME"),
        ("which models do I have", "mmcli models"),
        ("going on", "mmcli ask -c"),
        ("continue", "-c, --continue [ID]"),
        ("stdin", "cat photo.jpg | mmcli ask"),
        ("standard input", "cat photo.jpg | mmcli ask"),
        ("microphone", "mmcli transcribe --mic"),
        ("GPU", "--gpu-layers N"),
        ("MMCLI_SEED", "--seed N"),
        ("--max-tokens", "--max-tokens N"),
        ("Ollama", "mmcli models --adopt"),
        ("offline", "--offline"),
        ("exit status", "mmcli help --man"),
        ("delete conversations", "mmcli history delete"),
        ("clipboard", "/paste"),
        ("/drop", "/drop N…"),
        ("retry", "in a chat: ask the last question again"),
    ],
)
def test_a_search_finds(capsys: pytest.CaptureFixture[str], words: str, told: str) -> None:
    assert main.run(["help", "--", *words.split()]) == 0
    found = capsys.readouterr().out
    assert told in found
    assert len(found.splitlines()) <= 40
    assert main.run(["help", "--", words]) == 0
    assert capsys.readouterr().out == found


def test_a_search_names_the_commands_that_have_an_option(mmcli: Run) -> None:
    shown = mmcli("help", "temperature").stdout.splitlines()
    place = next(i for i, line in enumerate(shown) if "--temperature" in line)
    assert shown[place + 1].split("in ")[1] == "ask, chat, voice, caption, extract"


def test_what_no_help_is_about_is_told(mmcli: Run) -> None:
    done = mmcli("help", "xyzzy")
    assert (done.status, done.stdout) == (2, "")
    assert "`xyzzy`" in done.stderr and "mmcli --help" in done.stderr


def test_help_needs_no_good_settings(mmcli: Run, home: Path) -> None:
    file = home / "config" / "mmcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("modle = 3")
    for arguments in (["help"], ["help", "ask"], ["help", "seed"], ["ask", "--help-all"], ["help", "--man"]):
        assert mmcli(*arguments).status == 0


# the man page


def test_the_man_page_is_the_one_that_ships(mmcli: Run) -> None:
    shipped = Path(__file__).parents[1] / "docs" / "mmcli.1"
    assert shipped.read_text("utf-8") == mmcli("help", "--man").stdout, "mmcli help --man > docs/mmcli.1"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_against_the_man_page(mmcli: Run) -> None:
    page = mmcli("help", "--man").stdout
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=80n"], input=page, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    plain = re.sub(r".\x08|\x1b\[[\d;]*m", "", done.stdout)
    assert "--max-tokens N" in plain and 'mmcli ask -c "What color is the star?"' in plain
    assert "EXIT STATUS" in plain


# versions


@pytest.mark.parametrize("flag", ["--version", "-V", "version"])
def test_the_version_is_told(mmcli: Run, flag: str) -> None:
    done = mmcli(flag)
    assert (done.status, done.stdout, done.stderr) == (0, f"mmcli {package.__version__}\n", "")


def test_the_installed_script_is_the_same_program(environment: dict[str, str]) -> None:
    script = Path(sys.executable).parent / ("mmcli.exe" if sys.platform == "win32" else "mmcli")
    if not script.exists():
        pytest.skip("mmcli is not installed")
    done = subprocess.run([script, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"mmcli {package.__version__}\n"
