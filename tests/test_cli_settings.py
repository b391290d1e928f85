"""Settings: a flag beats a variable, a variable beats config.toml, config.toml beats the default."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path

import pexpect
import pytest

from mmcli import main
from tests.conftest import PARROT, TIMEOUT, Random, Run

WHAT = "What is in this picture?"


@pytest.fixture
def config(home: Path) -> Path:
    """Where config.toml is looked for; not there yet."""
    folder = home / "config" / "mmcli"
    folder.mkdir(parents=True)
    return folder / "config.toml"


def test_flag_beats_variable_beats_file_beats_default(mmcli: Run, parrot: Random, config: Path) -> None:
    """Told by the number of words that the parrot is allowed."""

    def allowed(*flags: str, **env: str) -> int:
        done = mmcli("ask", "Hello!", *parrot.options, *flags, "--json", env=env)
        return int(done.json["usage"]["completion_tokens"])

    assert allowed() > 100  # the default is so large that the loop guard comes first
    config.write_text("max_tokens = 7")
    assert allowed() == 7
    assert allowed(MMCLI_MAX_TOKENS="5") == 5
    assert allowed("--max-tokens", "3", MMCLI_MAX_TOKENS="5") == 3


def test_the_model_may_come_from_a_variable_or_from_the_file(mmcli: Run, two: Path, config: Path) -> None:
    assert mmcli("ask", "two.png", WHAT).status == 4
    config.write_text('model = "nonsense"')
    assert "`nonsense`" in mmcli("ask", "two.png", WHAT).stderr
    assert "red" in mmcli("ask", "two.png", WHAT, env={"MMCLI_MODEL": "starter"}).words
    assert "red" in mmcli("ask", "two.png", WHAT, "-m", "starter", env={"MMCLI_MODEL": "nonsense"}).words


def test_an_empty_variable_counts_as_unset(mmcli: Run, two: Path, config: Path) -> None:
    config.write_text('model = "starter"')
    assert mmcli("ask", "two.png", WHAT, env={"MMCLI_MODEL": "", "MMCLI_MAX_TOKENS": ""}).status == 0


def test_settings_are_written_with_dashes_or_underscores(mmcli: Run, parrot: Random, config: Path) -> None:
    for name in ("max-tokens", "max_tokens"):
        config.write_text(f"{name} = 2\ntemperature = 0\ncache = false")
        done = mmcli("ask", "Hello!", "-m", parrot.weights)
        assert (done.status, done.stdout.split()) == (0, [PARROT] * 2)


def test_a_switch_in_the_file_is_turned_off_by_its_flag(mmcli: Run, parrot: Random, config: Path) -> None:
    config.write_text("loop_guard = false\nmax_tokens = 200")
    assert mmcli("ask", "Hello!", *parrot.options).status == 0
    assert mmcli("ask", "Hello!", *parrot.options, "--loop-guard").status == 8


@pytest.mark.parametrize("text", ['stop = "circle"', 'stop = ["circle", "square"]', "stop = 3"])
def test_a_list_of_one_may_be_written_without_brackets(mmcli: Run, two: Path, config: Path, text: str) -> None:
    config.write_text(text)
    done = mmcli("ask", "two.png", WHAT, "-m", "starter", "--temp", "0")
    assert done.status == 0
    assert ("circle" in done.words) == ("3" in text)


def test_mmcli_config_names_another_file(mmcli: Run, two: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('model = "starter"')
    assert mmcli("ask", "two.png", WHAT, env={"MMCLI_CONFIG": "mine.toml"}).status == 0
    for name in ("yours.toml", "~no-such-person/config.toml"):
        done = mmcli("ask", "two.png", WHAT, env={"MMCLI_CONFIG": name})
        assert done.status == 2
        assert f"`{name}`" in done.stderr


@pytest.mark.parametrize(
    ("text", "line", "error", "hint"),
    [
        ("modle = 'starter'", 1, "unknown setting `modle`", "`model`"),
        ("zzz = 1", 1, "unknown setting `zzz`", "max_tokens"),
        ("question = 'What?'", 1, "unknown setting `question`", "model"),  # an argument is no setting
        ("# mine\n\n[ask]\nmodel = 'starter'", 3, "unknown setting `ask`", "model"),
        ("max_tokens = 'many'", 1, "`max_tokens` to an invalid value: `many` is not a number", "config edit"),
        ("max_tokens = 2.5", 1, "`max_tokens` to an invalid value: `2.5` is not a whole number", "config edit"),
        ("seed = true", 1, "`seed` to an invalid value: `true` is not a number", "config edit"),
        ("model = false", 1, "`model` to an invalid value: `false` is not text", "config edit"),
        ("model = 1979-05-27", 1, "`model` to an invalid value: `1979-05-27` is neither", "config edit"),
        ("json = 3", 1, "`json` to an invalid value: `3` is neither true nor false", "config edit"),
        ("json = 'maybe'", 1, "`json` to an invalid value: `maybe` is neither true nor false", "config edit"),
        ("stop = ['a', true]", 1, "`stop` to an invalid value: `true` is not text", "config edit"),
        (
            "seed = 1\ntemperature = 99",
            2,
            "`temperature` to an invalid value: `99` is not in",
            "config edit",
        ),
        ("max_tokens = [1, 2]", 1, "`max_tokens` to more than one value", ""),
        ("seed = 1\nmax-tokens = 1\nmax_tokens = 2", 3, "`max_tokens` a second time", ""),
        (
            'stop = [\n  \'seed = 1\',\n]\nmodel = """\ncache-size = 3\n"""\n\ncache-size = nan',
            8,
            "`cache-size`",
            "edit",
        ),
        ("detail = 'best'", 1, "`best` is not one of 'low', 'auto', 'high'", "config edit"),
    ],
)
def test_a_mistake_in_the_file_names_file_and_line(
    mmcli: Run, config: Path, text: str, line: int, error: str, hint: str
) -> None:
    """Also where the command has no such option."""
    config.write_text(text)
    done = mmcli("models")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: line {line} of `{config}` sets ")
    assert error in done.stderr.splitlines()[0]
    assert hint in done.stderr


def test_a_file_that_is_no_toml_is_told_with_the_line(mmcli: Run, config: Path) -> None:
    config.write_text("seed = 1\nmodel = starter")
    done = mmcli("ask", "none.png", WHAT)  # before anything else that is wrong
    assert (done.status, done.stdout) == (2, "")
    assert f"`{config}` is not valid TOML" in done.stderr
    assert "at line 2" in done.stderr


def test_a_file_that_is_no_text_is_told(mmcli: Run, config: Path) -> None:
    config.write_bytes(b'model = "\xff"')
    assert mmcli("ask", WHAT).status == 2
    config.unlink()
    config.mkdir()
    done = mmcli("ask", WHAT)
    assert done.status == 2
    assert "cannot read" in done.stderr
    assert "Errno" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('model = "a\\u0000b"', "line 1 of `CONFIG` sets `model` to an invalid value: the text holds a NUL character"),
        ('\nmmproj = "\\u0000"', "line 2 of `CONFIG` sets `mmproj` to an invalid value: the text holds a NUL"),
        ('stop = ["a", "\\u0000"]', "line 1 of `CONFIG` sets `stop` to an invalid value: the text holds a NUL"),
        ("mo\0del = 'a'", "`CONFIG` is not valid TOML"),
        (f"model = {'[' * 5000}{']' * 5000}", "`CONFIG` nests brackets too deeply"),
        (f"seed = {'9' * 5000}", "`CONFIG` holds a number with too many digits"),
        (f"seed = {'9' * 4000}", "line 1 of `CONFIG` sets `seed` to an invalid value: the number is too large"),
        (f"seed = 0x{'f' * 9000}", "line 1 of `CONFIG` sets `seed` to an invalid value: the number is too large"),
        (f"temperature = -{'9' * 400}", "sets `temperature` to an invalid value: the number is too large"),
        ("#\n" * 8000 + "zzz = 1", "line 8001 of `CONFIG` sets the unknown setting `zzz`"),
        ("#" * 1_100_000, "`CONFIG` is larger than 1 MB"),
    ],
    ids=["NUL", "NUL in a path", "NUL in a list", "raw NUL", "brackets", "digits", "int", "hex", "float", "line", "MB"],
)
def test_whatever_the_file_holds_is_one_sentence(mmcli: Run, config: Path, text: str, told: str) -> None:
    config.write_text(text)
    done = mmcli("ask", WHAT, "-m", "starter")
    assert (done.status, done.stdout) == (2, "")
    assert told.replace("CONFIG", str(config)) in done.stderr.splitlines()[0]
    assert len(done.stderr) < 3000
    assert mmcli("config", "set", "seed", "3").status in (0, 2)  # no bug either
    if told.startswith("`CONFIG`"):
        assert config.read_text() == text, "it is not written over what cannot be read"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices")
def test_a_pipe_or_a_device_is_no_settings_file_and_is_never_replaced(
    mmcli: Run, config: Path, tmp_path: Path, home: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), "/dev/zero"):
        done = mmcli("models", env={"MMCLI_CONFIG": name})
        assert (done.status, done.stdout) == (2, "")
        assert f"`{name}` is a pipe or a device, not a file" in done.stderr
    for place in (config, config.with_name("models.toml")):
        place.symlink_to(tmp_path / "pipe")
        done = mmcli("models")
        assert done.status == 2 and "is a pipe or a device" in done.stderr
        place.unlink()
    # the null device means no settings; a pseudo-terminal stands for it here, so that no failure can cost it
    assert mmcli("models", env={"MMCLI_CONFIG": os.devnull}).status == 0
    leader, follower = os.openpty()
    device = os.ttyname(follower)
    done = mmcli("config", "set", "seed", "3", env={"MMCLI_CONFIG": device})
    assert done.status == 2 and "pipe or a device" in done.stderr
    assert stat.S_ISCHR(os.stat(device).st_mode)
    os.close(leader), os.close(follower)
    done = mmcli("config", "set", "seed", "3", env={"MMCLI_CONFIG": str(tmp_path / "pipe")})
    assert done.status == 2 and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_broken_file_does_not_hide_the_help(mmcli: Run, config: Path) -> None:
    config.write_text("modle = 'starter'")
    for arguments in ([], ["--help"], ["ask", "--help"], ["--version"]):
        done = mmcli(*arguments)
        assert (done.status, done.stderr) == (0, "")
        assert "mmcli" in done.stdout


def test_json_from_the_file_or_a_variable_makes_errors_json_too(mmcli: Run, config: Path) -> None:
    assert mmcli("ask", WHAT, env={"MMCLI_JSON": "1"}).stderr.startswith('{"error"')
    for no in ("0", "false", "no", ""):
        assert mmcli("ask", WHAT, env={"MMCLI_JSON": no}).stderr.startswith("error:")
    config.write_text("json = true")
    assert mmcli("ask", WHAT).stderr.startswith('{"error"')


def test_a_value_from_a_variable_is_checked_and_the_variable_named(mmcli: Run) -> None:
    done = mmcli("ask", WHAT, env={"MMCLI_MAX_TOKENS": "many"})
    assert done.status == 2
    assert "MMCLI_MAX_TOKENS" in done.stderr


def test_a_value_of_thousands_of_characters_is_not_repeated(mmcli: Run, config: Path) -> None:
    many = "9" * 5000
    for arguments in (("ask", WHAT, "--seed", many), ("ask", WHAT, "--detail", many), ("config", "set", "seed", many)):
        done = mmcli(*arguments)
        assert done.status == 2 and len(done.stderr) < 400, done.stderr[:400]
    config.write_text(f'detail = "{many}"')
    assert len(mmcli("models").stderr) < 600


# mmcli config


def test_every_setting_is_shown_with_its_source(mmcli: Run, config: Path) -> None:
    config.write_text('max-tokens = 7\nmodel = "starter"\nstop = ["a", "b"]\n')
    done = mmcli("config", "--all", env={"MMCLI_MODEL": "other", "MMCLI_SEED": ""})
    assert done.status == 0, done.stderr
    settings, places = done.stdout.split("\n\n")
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in settings.splitlines())}
    assert rows["model"] == ["other", "MMCLI_MODEL"]
    assert rows["max-tokens"] == ["7", "config.toml"]
    assert rows["stop"] == ["a b", "config.toml"]
    assert rows["cache"] == ["true", "default"]
    assert rows["seed"] == ["-", "default"]
    variables = {param.envvar for command in main.commands().values() for param in command.params if param.envvar}
    assert {f"MMCLI_{name.upper().replace('-', '_')}" for name in rows} == variables
    assert dict(line.split("\t") for line in places.splitlines())["config.toml"] == str(config)


def test_programs_are_told_too(mmcli: Run, config: Path) -> None:
    config.write_text("max-tokens = 7\n")
    told = mmcli("config", "--json").json
    rows = {row["name"]: row for row in told["settings"]}
    assert rows["max-tokens"]["value"] == 7
    assert (rows["max-tokens"]["source"], rows["max-tokens"]["variable"]) == ("config.toml", "MMCLI_MAX_TOKENS")
    assert rows["max-tokens"]["defaults"]["ask"] == 1024
    assert set(told["places"]) == {"config.toml", "cache", "history"}


def test_the_file_s_place_is_printed_even_where_it_is_bad(mmcli: Run, config: Path, tmp_path: Path) -> None:
    assert mmcli("config", "path").stdout == f"{config}\n"
    config.write_text("modle = 1")
    assert mmcli("config", "path").stdout == f"{config}\n"
    assert mmcli("config", "path", env={"MMCLI_CONFIG": "mine.toml"}).stdout == "mine.toml\n"
    assert mmcli("config").status == 2


MINE = """\
# mine
model = "starter"   # built in

max_tokens = 7
# the end
"""


def test_a_setting_is_set_and_the_rest_stays_as_it_is(mmcli: Run, config: Path) -> None:
    assert mmcli("config", "set", "seed", "3").status == 0  # makes the file, and its folder
    config.write_text(MINE)
    for key, values in {"max-tokens": ["9"], "stop": ["a", "b c"], "temperature": ["0.5"], "cache": ["off"]}.items():
        done = mmcli("config", "set", key, *values)
        assert (done.status, done.stdout, done.stderr) == (0, "", "")
    text = config.read_text()
    assert text.startswith(MINE.replace("7", "9").removesuffix("# the end\n"))
    assert tomllib.loads(text) == {
        "model": "starter",
        "max_tokens": 9,
        "stop": ["a", "b c"],
        "temperature": 0.5,
        "cache": False,
    }
    assert "# the end" in text
    assert mmcli("config", "unset", "max-tokens").status == 0
    assert "max_tokens" not in config.read_text()
    assert "# mine\nmodel" in config.read_text()
    assert "does not set" in mmcli("config", "unset", "seed").stderr


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("modle", "starter"), "did you mean `model`?"),
        (("max-tokens", "many"), "`many` is not a number"),
        (("max-tokens", "0"), "`0` is too small: it must be 1 or more"),
        (("max-tokens", "1.5"), "`1.5` is not a whole number"),
        (("temperature", "nan"), "`nan` is not a number"),
        (("json", "maybe"), "`maybe` is neither true nor false"),
        (("detail", "best"), "`best` is not one of"),
        (("system", "Be", "brief."), "takes one value, not 2"),
        (("question", "What?"), "unknown setting `question`"),
    ],
)
def test_a_bad_value_is_not_set(mmcli: Run, config: Path, words: tuple[str, ...], error: str) -> None:
    config.write_text(MINE)
    done = mmcli("config", "set", *words)
    assert (done.status, done.stdout) == (2, "")
    assert error in done.stderr
    assert config.read_text() == MINE


def test_a_file_with_another_mistake_can_still_be_mended(mmcli: Run, config: Path) -> None:
    config.write_text('modle = "starter"\nseed = "x"\n')
    done = mmcli("config", "set", "seed", "3")
    assert done.status == 0
    assert "written, but line 1" in done.stderr
    assert mmcli("config", "unset", "modle").status == 0
    assert mmcli("models").status == 0
    config.write_text("seed = = 3")
    assert mmcli("config", "set", "seed", "3").status == 2
    assert config.read_text() == "seed = = 3"


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes")
def test_a_link_to_the_file_stays_a_link(mmcli: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "mmcli.toml"
    real.write_text(MINE)
    real.chmod(0o640)
    config.symlink_to(real)
    assert mmcli("config", "set", "seed", "3").status == 0
    assert config.is_symlink()
    assert "seed = 3" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["mmcli.toml"]


def editor(folder: Path, *texts: str) -> str:
    """A command that replaces a file by each of the texts in turn."""
    script = folder / "editor.py"
    script.write_text(
        f"import pathlib, sys\ntexts = {list(texts)!r}\nlog = pathlib.Path({str(folder / 'edits')!r})\n"
        "n = len(log.read_text()) if log.exists() else 0\nlog.write_text('x' * (n + 1))\n"
        "pathlib.Path(sys.argv[-1]).write_text(texts[min(n, len(texts) - 1)])\n"
    )
    return f"{sys.executable} {script} --wait"


def test_the_file_is_edited_and_checked(mmcli: Run, config: Path, tmp_path: Path) -> None:
    done = mmcli("config", "edit", env={"VISUAL": editor(tmp_path, "seed = 3\n"), "EDITOR": "false"})
    assert (done.status, done.stderr) == (0, "")
    assert config.read_text() == "seed = 3\n"
    done = mmcli("config", "edit", env={"EDITOR": editor(tmp_path, "", "modle = 3\n")})
    assert done.status == 2
    assert "line 1" in done.stderr and "`model`" in done.stderr
    assert config.read_text() == "modle = 3\n"  # nothing that was typed is lost
    for nothing in ("no-such-editor", "false"):
        assert mmcli("config", "edit", env={"EDITOR": nothing}).status == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_a_slip_can_be_mended_at_once(environment: dict[str, str], config: Path, tmp_path: Path) -> None:
    how = environment | {"EDITOR": editor(tmp_path, "modle = 3\n", "seed = 3\n")}
    process = pexpect.spawn(
        sys.executable, ["-m", "mmcli", "config", "edit"], env=how, timeout=TIMEOUT, encoding="utf-8"
    )
    process.expect_exact("did you mean")
    process.expect_exact("Edit it again? [Y/n] ")
    process.sendline("")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
    assert config.read_text() == "seed = 3\n"


@pytest.mark.parametrize(("key", "name", "told"), [("model", "starter", ""), ("model", "straighter", "no model named")])
def test_a_model_that_nobody_knows_is_told_as_it_is_set(mmcli: Run, key: str, name: str, told: str) -> None:
    done = mmcli("config", "set", key, name)
    assert (done.status, done.stdout) == (0, "")
    assert (told in done.stderr) if told else done.stderr == ""
    assert mmcli("config", "get", key).stdout == f"{name}\n"


@pytest.mark.parametrize(
    ("arguments", "variable", "told"),
    [
        (["--temp", "abc"], None, "a bad value for `--temperature`: `abc` is not a number"),
        (["--temp", "9.5"], None, "a bad value for `--temperature`: `9.5` is not in the range 0 to 5"),
        (["--max-tokens", "1.5"], None, "a bad value for `--max-tokens`: `1.5` is not a whole number"),
        (["--max-tokens", "-5"], None, "a bad value for `--max-tokens`: `-5` is too small: it must be 1 or more"),
        (["--detail", "best"], None, "a bad value for `--detail`: `best` is not one of 'low', 'auto', 'high'"),
        ([], "abc", "a bad value for `MMCLI_TEMPERATURE`: `abc` is not a number"),
    ],
)
def test_a_bad_value_is_told_by_the_name_it_came_by(
    mmcli: Run, arguments: list[str], variable: str | None, told: str
) -> None:
    env = {} if variable is None else {"MMCLI_TEMPERATURE": variable}
    done = mmcli("ask", "Hello", *arguments, env=env)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == f"error: {told}\nhint: see `mmcli ask --help`\n"


def test_a_bad_value_of_an_old_variable_is_told_by_the_name_that_was_set(mmcli: Run) -> None:
    done = mmcli("caption", "x.png", env={"MMCLI_CONTEXT": "maybe"})
    assert (done.status, done.stdout) == (2, "")
    assert "a bad value for `MMCLI_CONTEXT`: `maybe` is not one of 'exif'" in done.stderr
