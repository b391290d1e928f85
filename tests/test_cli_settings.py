"""Settings: a flag beats a variable, a variable beats config.toml, config.toml beats the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import PARROT, Random, Run

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
    ("text", "error", "hint"),
    [
        ("modle = 'starter'", "`modle`, which is no setting", "`model`"),
        ("zzz = 1", "`zzz`, which is no setting", "max_tokens"),
        ("question = 'What?'", "`question`, which is no setting", "model"),  # an argument is no setting
        ("model = starter", "not valid TOML", "mend it"),
        ("[ask]\nmodel = 'starter'", "`ask`, which is no setting", "model"),
        ("max_tokens = 'many'", "--max-tokens", "config.toml` sets it"),
        ("temperature = 99", "--temperature", "config.toml` sets it"),
        ("max_tokens = [1, 2]", "`max_tokens` to more than one value", ""),
        ("cache-size = nan", "--cache-size", "config.toml` sets it"),
        ("detail = 'best'", "--detail", "config.toml` sets it"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(mmcli: Run, config: Path, text: str, error: str, hint: str) -> None:
    config.write_text(text)
    done = mmcli("ask", WHAT)
    assert (done.status, done.stdout) == (2, "")
    assert error in done.stderr.splitlines()[0]
    assert hint in done.stderr
    assert "config.toml`" in done.stderr


def test_a_file_that_is_no_text_is_told(mmcli: Run, config: Path) -> None:
    config.write_bytes(b'model = "\xff"')
    assert mmcli("ask", WHAT).status == 2
    config.unlink()
    config.mkdir()
    done = mmcli("ask", WHAT)
    assert done.status == 2
    assert "cannot read" in done.stderr
    assert "Errno" not in done.stderr


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
