"""`--format`: tables, CSV, LaTeX and HTML found in answers and checked; and a code block alone (-x)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmcli.errors import OutputError
from mmcli.extraction.text_forms import FormName, TextForm
from tests import scripted
from tests.conftest import Run

TABLE = "| month | sum |\n|---|---|\n| May | 3 |\n"


@pytest.mark.parametrize(
    ("name", "answer", "text"),
    [
        ("table", TABLE, "| month | sum |\n| --- | --- |\n| May | 3 |\n"),
        (
            "table",
            f"Here it is:\n\n```markdown\n{TABLE}```\nAsk for more!",
            "| month | sum |\n| --- | --- |\n| May | 3 |\n",
        ),
        ("table", "<table><tr><th>a</th></tr><tr><td>b</td></tr></table>", "| a |\n| --- |\n| b |\n"),
        ("csv", "month,sum\nMay,3\n", "month,sum\nMay,3\n"),
        ("csv", '```csv\nmonth,sum\n"May, June",3\n```', 'month,sum\n"May, June",3\n'),
        ("csv", TABLE, "month,sum\nMay,3\n"),
        ("csv", 'a,b\n"two\nlines",x', 'a,b\n"two\nlines",x\n'),
        ("latex", r"\frac{a}{b} = \{1\}", "\\frac{a}{b} = \\{1\\}\n"),
        ("latex", "```latex\n\\begin{align}a&=b\\\\\n\\end{align}\n```", "\\begin{align}a&=b\\\\\n\\end{align}\n"),
        ("latex", r"It costs 5 \% of $x$ and $$\left(y\right)$$", "It costs 5 \\% of $x$ and $$\\left(y\\right)$$\n"),
        ("html", "<p>One<p>Two<br>three", "<p>One<p>Two<br>three\n"),
        ("html", "<ul><li>a<li>b</ul>", "<ul><li>a<li>b</ul>\n"),
        ("html", "<script>alert(1)</script><b>x</b>", "<b>x</b>\n"),
        ("html", '<a href="javascript:x" onclick="y">z</a>', "<a>z</a>\n"),
        ("html", '<a href=" jAva\tscript:x">z</a><img src="data:text/html;x">', "<a>z</a><img>\n"),
        ("html", '<a href="https://a.b/?c&amp;d#e">1 &lt; 2</a>', '<a href="https://a.b/?c&amp;d#e">1 &lt; 2</a>\n'),
    ],
)
def test_the_form_is_found_in_an_answer(name: FormName, answer: str, text: str) -> None:
    assert TextForm(name).read(answer) == text


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        ("table", "I see no table.", "holds no table"),
        ("table", "", "is empty"),
        ("csv", "I see a circle, and a star.", "a single row"),
        ("csv", "a,b\n1,2,3", "row 2 has 3 values"),
        ("csv", 'a,b\n"1,2', "no CSV"),
        ("latex", r"\frac{a}{b", r"`{` is never closed"),
        ("latex", "a}", "`}` closes nothing"),
        ("latex", r"\begin{align}a\end{equation}", r"`\end{equation}` closes nothing"),
        ("latex", r"\begin{align}a", r"`\begin{align}` is never closed"),
        ("latex", "a $x", "`$` is never closed"),
        ("latex", r"\left( x", r"`\left` is never closed"),
        ("latex", "I cannot read this.", "holds no LaTeX"),
        ("html", "<div><b>x</div>", "`</div>` closes nothing"),
        ("html", "<div>x", "`<div>` is never closed"),
        ("html", "<b>x</b><script>alert(1)", "`<script>` is never closed"),
        ("html", "no HTML at all", "holds no HTML"),
    ],
)
def test_what_is_not_of_the_form_is_refused(name: FormName, answer: str, told: str) -> None:
    with pytest.raises(OutputError) as caught:
        TextForm(name).read(answer)
    assert told in caught.value.message


def test_what_was_changed_is_told() -> None:
    form = TextForm("html")
    form.read('Look:\n```html\n<p onclick="x">y</p><iframe src="z"></iframe>\n```\n')
    assert len(form.notes) == 2 and "2 parts of the HTML" in form.notes[1]
    form.read("<p>y</p>")
    assert form.notes == []


def test_only_the_form_is_printed(mmcli: Run, tmp_path: Path) -> None:
    said = ["Here:\n\n", "```csv\nname", ",price", "\ntea,", "2.50\n``", "`\nMore?"]
    weights = scripted.write(tmp_path, said)
    ask = ("ask", "What does it cost?", "-m", weights, "--temperature", "0")
    done = mmcli(*ask, "--format", "csv")
    assert (done.status, done.stdout) == (0, "name,price\ntea,2.50\n")
    assert "note: what the model said around it was left out" in done.stderr
    assert mmcli(*ask, "--format", "csv", "--json").json["data"] == "name,price\ntea,2.50\n"
    assert mmcli(*ask, "-x").stdout == "name,price\ntea,2.50\n"
    for form in ("html", "latex", "table"):
        done = mmcli(*ask, "--format", form)
        assert (done.status, done.stdout) == (8, ""), form
    done = mmcli(*ask, "--format", "csv", "--max-tokens", "3")
    assert (done.status, done.stdout) == (8, "") and "not whole" in done.stderr


def test_json_is_held_to_its_grammar(mmcli: Run, tmp_path: Path) -> None:
    weights = scripted.write(tmp_path, ["Sure:", ' {"', 'a": ', "[1", "]}"])
    done = mmcli("ask", "What?", "-m", weights, "--temperature", "0", "--format", "json", "--max-tokens", "200")
    assert done.status in (0, 8)
    assert json.loads(done.stdout) is not None if done.status == 0 else done.stdout == ""


@pytest.mark.parametrize("other", [("--schema", "a"), ("-x",), ("--cite",), ("--every-page",)])
def test_one_form_at_a_time(mmcli: Run, other: tuple[str, ...]) -> None:
    done = mmcli("ask", "What?", "-m", "starter", "--format", "csv", *other)
    assert (done.status, done.stdout) == (2, "") and "cannot be combined" in done.stderr


def test_the_first_code_block_is_the_answers_code(mmcli: Run, tmp_path: Path) -> None:
    weights = scripted.write(tmp_path, ["```\none\n", "```\nand\n", "~~~\ntwo\n", "~~~"])
    ask = ("ask", "Write code", "-m", weights, "--temperature", "0")
    assert mmcli(*ask, "-x").stdout == "one\n"
    done = mmcli(*ask, "--extract")
    assert done.stdout == "one\n" and "--extract-code" in done.stderr
