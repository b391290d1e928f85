"""Reading TOML that people write: within bounds, with a sentence for whatever is wrong, and the lines of keys."""

from __future__ import annotations

import os
import random
import sys
import time
import tomllib
from pathlib import Path

import pytest

from mmcli import tomlfile
from mmcli.errors import UsageError

TEXT = '''\
# top = 1
top = """
b = 1
\\""" c = 2
"""
list = [
  "d = 1", # e = 2
  { f = 3 },
]
"quoted \\u00e4" = 2
'literal' = {h = 1}
raw = \'\'\'
x
\'\'\'
dotted.key = 1

[table]
inner = 3
[["array of tables"]]
y.z = 1
[ spaced . out ]
'''
LINES = {
    "top": 2,
    "list": 6,
    "quoted ä": 10,
    "literal": 11,
    "raw": 12,
    "dotted": 15,
    "table": 17,
    "array of tables": 19,
}
LINES |= {"spaced": 21}


def test_the_line_of_each_key_is_found() -> None:
    assert set(tomllib.loads(TEXT)) == set(LINES)
    assert {key: tomlfile.line_of(TEXT, key) for key in LINES} == LINES
    assert {key: tomlfile.line_of(TEXT.replace("\n", "\r\n"), key) for key in LINES} == LINES


def slow_line_of(text: str, key: str) -> int:
    """The same by another way: a text cut off before a key is TOML without it."""
    lines, before = text.splitlines(keepends=True), 0
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if key in table:
            return before + 1
        before = end
    return before + 1


PIECES = (
    "{} = 1",
    "{} = [\n1,\n# ]\n2]",
    '{} = """\nx = 1\n"""',
    "{} = '''\n['''''",
    '{} = "#[\\""',
    "# z = [",
    "",
    "{}.u = {{v = 1}}",
)


def test_both_ways_agree_on_texts_put_together_at_random() -> None:
    draw = random.Random(0)
    for _ in range(300):
        pieces = [piece.format(f"k{i}") for i, piece in enumerate(draw.choices(PIECES, k=draw.randint(1, 8)))]
        text = "\n".join(pieces + draw.choice(([], ["[last]", "k0 = 3"]))) + "\n"
        for key in tomllib.loads(text):
            slow, fast = slow_line_of(text, key), tomlfile.line_of(text, key)
            skipped = text.splitlines()[slow - 1 : fast - 1]  # the slow way takes a line before a key for its beginning
            assert fast >= slow and all(not line or line.startswith("#") for line in skipped), text


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"# {i}" for i in range(80_000)) + "\nlast = 1\n",
        'text = """\n' + "last = 1\n" * 80_000 + '"""\nlast = 1\n',
    ],
)
def test_a_long_file_takes_no_longer_than_reading_it(text: str) -> None:
    """It took the square of the lines: 16 s for 8,000, and these are ten times as many."""
    began = time.process_time()
    assert tomlfile.line_of(text, "last") in (80_001, 80_003)
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = = 1", "is not valid TOML: Invalid value (at line 1, column 5)"),
        ("a = " + "[" * 5000, "nests brackets too deeply"),
        ("a = " + "[" * 5000 + "]" * 5000, "nests brackets too deeply"),
        ("a = " + "{b = " * 5000, "nests brackets too deeply"),
        ("a = " + "9" * 5000, "holds a number with too many digits"),
        ("a\0 = 1", "is not valid TOML"),
    ],
    ids=["equals", "brackets", "closed brackets", "braces", "digits", "NUL"],
)
def test_what_is_wrong_is_one_sentence(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        tomlfile.parse(text, "`config.toml`")
    assert caught.value.message.startswith("`config.toml` ") and told in caught.value.message
    assert len(caught.value.message) < 300 and "\n" not in caught.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(UsageError, match="is a pipe or a device, not a file"):
            tomlfile.read(path)
    assert tomlfile.read(Path(os.devnull)) == ""
    with pytest.raises(UsageError, match="cannot read"):
        tomlfile.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        tomlfile.read(tmp_path / "none")


def test_a_file_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(b"#" * tomlfile.MAX_BYTES)
    assert len(tomlfile.read(path)) == tomlfile.MAX_BYTES
    path.write_bytes(b"#" * (tomlfile.MAX_BYTES + 1))
    with pytest.raises(UsageError, match="is larger than 1 MB"):
        tomlfile.read(path)
