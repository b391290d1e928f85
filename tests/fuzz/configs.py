"""config.toml: damaged, or written by somebody who tries things."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.case import Case, Limits, Ran, command
from tests.fuzz.damage import several

WHOLE = """# what I like
model = "starter"
temperature = 0.2
max-tokens = 300
system = "Be brief."
stop = ["END", "STOP"]
think = false
cache-size = 1.5
language = "en"
markdown = "auto"
"""
KEYS = ("model", "temperature", "max_tokens", "max-tokens", "system", "stop", "think", "cache-size", "threads", "seed")
ODD_KEYS = ('"a b"', '""', "modell", '"\\u001b[2J"', "a.b.c", "1", '"' + "k" * 5000 + '"', "é", "__class__", "-")
VALUES = (
    *(
        "1",
        "-1",
        "0",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "true",
        "9" * 30,
        "9" * 5000,
        "0x" + "f" * 5000,
        "0.1",
        "1979-05-27",
    ),
    *('""', '"x"', '"\\u001b]0;owned\\u0007"', "'''\n\n'''", '"' + "x" * 100_000 + '"', '"\\uD800"', "07:32:00"),
    *("[]", "[1, [2, [3]]]", '["a", 1]', "{}", "{a = 1}", "[[]]", '["x"]', '["\\u009b2J"]'),
    *("[" * 500 + "]" * 500, "[" * 5000 + "]" * 5000, "{a = " * 300 + "1" + "}" * 300),
)


def make(chance: random.Random, folder: Path, keep: Path) -> Case:
    path = folder / "config.toml"
    way = chance.choice(("damaged", "damaged", "written", "written", "long", "odd bytes"))
    if way == "damaged":
        done = several(chance, WHOLE.encode())
        data, what = done.data, str(done)
    elif way == "written":
        lines = [_line(chance) for _ in range(chance.choice((1, 1, 2, 5)))]
        data, what = "\n".join(lines).encode("utf-8", "replace"), repr(lines)[:300]
    elif way == "long":
        filler = chance.choice(("# a note\n", 'stop = ["a"]\n', "\n", "[table{}]\n", "key{} = 1\n"))
        lines = [filler.format(i) for i in range(chance.choice((500, 8000)))]
        lines.insert(chance.randrange(len(lines)), _line(chance) + "\n")
        data, what = "".join(lines).encode("utf-8", "replace"), f"{len(lines)} lines of {filler!r}"
    else:
        data = chance.choice(
            (b"", b"\0", b"\xef\xbb\xbf" + WHOLE.encode(), b"\xff\xfe", WHOLE.encode("utf-16"), b"\x80")
        )
        what = repr(data[:20])
    path.write_bytes(data)
    arguments = chance.choice((("config",), ("models",), ("config", "set", "seed", "7"), ("config", "unset", "model")))

    def call() -> Ran:
        return command(*arguments)

    environment = {"MMCLI_CONFIG": str(path)}
    limits = Limits(cpu_seconds=5, memory=200 << 20)
    return Case(f"{way}: {what}", call, arguments, frozenset({0, 2}), environment, limits)


def _line(chance: random.Random) -> str:
    key, value = chance.choice((*KEYS, *KEYS, *ODD_KEYS)), chance.choice(VALUES)
    return chance.choice(("{} = {}", "{} = {}", "{} = {}", "[{}]", "[[{}]]", "{} {}", "{} = ", "# {} {}")).format(
        key, value
    )
