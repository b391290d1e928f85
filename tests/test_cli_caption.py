"""`mmcli caption` as a person types it: what goes in, what comes out, and what happens to every odd file."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from PIL import Image

from mmcli.engine import hardware
from mmcli.engine.local import bindings
from mmcli.health import cpu
from tests import captioning
from tests.captioning import Caption, lines
from tests.conftest import PICTURES, PROJECTOR, TIMEOUT, Completed, Random, Run, draw

SEEN = {"red", "circle", "blue", "square"}


def start(folder: Path, environment: dict[str, str], *arguments: str, **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mmcli", "caption", "-m", "starter", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # or `communicate` would lose what `readline` had read ahead
        **how,
    )


def words(text: str) -> set[str]:
    return {word.strip(".,") for word in text.lower().split()}


def records(done: Completed) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


# in


def test_a_piped_picture_gives_its_bare_caption(caption: Caption, two: Path) -> None:
    done = caption(stdin=two.read_bytes())
    assert (done.status, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1 and "\t" not in done.stdout
    assert SEEN <= done.words
    assert caption("-", stdin=two.read_bytes()).stdout == done.stdout


def test_paths_globs_and_folders_come_out_in_the_order_given(caption: Caption, tmp_path: Path) -> None:
    for name in (
        "scan 10.png",
        "scan 9.png",
        "deep/er/b.png",
        "deep/a.png",
        "deep/.hid/x.png",
        "deep/._a.png",
        "z.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        draw(tmp_path / name, "red circle")
    done = caption("z.png", "scan*.png", "deep", "deep/**/b.png", "-r")
    assert (done.status, done.stderr) == (0, "")
    assert [path for path, _ in lines(done)] == [
        "z.png",
        "scan 9.png",
        "scan 10.png",
        "deep/a.png",
        "deep/er/b.png",
        "deep/er/b.png",
    ]
    assert [path for path, _ in lines(caption("deep"))] == ["deep/a.png"]


@pytest.mark.parametrize(
    ("listed", "options"),
    [
        (b"two.png\none.png\n", ()),
        (b"two.png\r\n\none.png", ("-",)),
        (b"two.png\0one.png\0", ("-0",)),
        (b"\xef\xbb\xbftwo.png\none.png", ("--from-file", "-")),
        (b"two.png\none.png\n", ("--from-file", "list.txt")),
        (b"two.png\0one.png", ("--from-file", "list.txt", "--null")),
    ],
)
def test_a_list_names_the_pictures(
    caption: Caption, two: Path, one: Path, tmp_path: Path, listed: bytes, options: tuple[str, ...]
) -> None:
    (tmp_path / "list.txt").write_bytes(listed)
    done = caption(*options, stdin=listed if "list.txt" not in options else None)
    assert (done.status, done.stderr) == (0, "")
    assert [path for path, _ in lines(done)] == ["two.png", "one.png"]


@pytest.mark.parametrize("is_list", [True, False])
def test_what_is_piped_in_comes_where_its_dash_stands(caption: Caption, two: Path, one: Path, is_list: bool) -> None:
    done = caption("one.png", "-", "one.png", stdin=b"two.png\n" if is_list else two.read_bytes())
    assert (done.status, done.stderr) == (0, "")
    assert [path for path, _ in lines(done)] == ["one.png", "two.png" if is_list else "-", "one.png"]


def test_a_name_from_a_list_is_taken_letter_by_letter(caption: Caption, tmp_path: Path) -> None:
    draw(tmp_path / "a[1]*.png", "red circle")
    draw(tmp_path / "a1x.png", "blue square")
    done = caption(stdin=b"a[1]*.png\n~/none.png\n")
    assert done.status == 7
    assert [path for path, _ in lines(done)] == ["a[1]*.png"]
    assert "no file named `~/none.png`" in done.stderr


def test_a_list_does_not_take_the_loop_s_stdin(caption: Caption, two: Path) -> None:
    assert lines(caption("two.png", stdin=b"other.png\n"))[0][0] == "two.png"


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "words_"),
    [
        ((), b"", 3, "no pictures were named: the list is empty"),
        ((), b"\x89PNG\r\n\x1a\n", 3, "stdin"),
        ((), b"a/b.png\0c.png\0", 3, "add -0"),
        (("nope.png",), None, 3, "no file named `nope.png`"),
        (("text.jpg",), None, 3, "`text.jpg` is a text file, not a picture"),
        (("--from-file", "none.txt"), None, 3, "the list `none.txt` cannot be read"),
        (("two.png", "-o", "out"), None, 2, "add --sidecar"),
        (("two.png", "--sidecar", "txt", "-o", "text.jpg"), None, 3, "is a file, not a folder"),
        (("two.png", "--json", "--print0"), None, 2, "cannot be combined"),
        (("two.png", "--prompt", " "), None, 2, "--prompt is empty"),
        (("-", "--sidecar", "txt"), "picture", 3, "leave out --sidecar"),
    ],
)
def test_a_slip_is_one_clear_sentence(
    caption: Caption,
    two: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    stdin: bytes | str | None,
    status: int,
    words_: str,
) -> None:
    (tmp_path / "text.jpg").write_text("hello\n")
    done = caption(*arguments, stdin=two.read_bytes() if stdin == "picture" else stdin)
    assert done.status == status
    assert words_ in done.stderr
    assert "Traceback" not in done.stderr


def test_the_first_caption_does_not_wait_for_the_last_name(
    tmp_path: Path, environment: dict[str, str], two: Path, one: Path
) -> None:
    process = start(tmp_path, environment)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"two.png\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"two.png\t")  # and the pipe is still open
    process.stdin.write(b"one.png\n")
    rest, told = process.communicate(timeout=TIMEOUT)
    assert rest.startswith(b"one.png\t")
    assert (process.returncode, told) == (0, b"")


def test_equal_pictures_are_computed_once_and_each_path_has_its_line(caption: Caption, two: Path) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(two, two.with_name(name))
    done = caption("two.png", "a.png", "b.png", "two.png", "--jsonl", "--no-cache")
    told = records(done)
    assert [record["path"] for record in told] == ["two.png", "a.png", "b.png", "two.png"]
    assert len({record["caption"] for record in told}) == 1
    assert sum(not record["cached"] for record in told) == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_names(tmp_path: Path, environment: dict[str, str], two: Path) -> None:
    def peak(n: int) -> int:
        """KB of memory at most, for n names from a pipe."""
        code = (
            "import resource, subprocess, sys; "
            f"done = subprocess.run([sys.executable, '-m', 'mmcli', 'caption', '-m', 'starter'], "
            f"input=b'two.png\\n' * {n}, stdout=open('out.tsv', 'wb')); "
            "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True)
        status, kilobytes = map(int, done.stdout.split())
        assert status == 0
        assert (tmp_path / "out.tsv").read_bytes().count(b"\n") == n
        return kilobytes

    peak(1)  # the caption is computed
    few, lots = peak(500), peak(20_000)
    assert lots - few < 20_000, (few, lots)


# out


def test_every_odd_file_is_one_line_or_one_error(caption: Caption, tmp_path: Path) -> None:
    good, bad = captioning.odd(tmp_path / "odd")
    done = caption("odd", "--print0", "-r")
    assert done.status == 7
    fields = done.stdout_bytes.split(b"\0")
    told = dict(zip(fields[:-1:2], fields[1::2], strict=True))
    assert set(told) == {b"odd/" + name for name in good}
    for name, text in told.items():
        assert words(text.decode()) >= SEEN, name
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(bad) + 1
    for name in bad:
        assert sum(f"`odd/{name.decode()}`" in line for line in errors) == 1
    assert errors[-1] == f"error: {len(bad)} of {len(good | bad)} pictures failed"
    assert "\x1b" not in done.stderr


def test_lines_can_be_turned_back_into_the_names_they_stand_for(caption: Caption, tmp_path: Path) -> None:
    good, _ = captioning.odd(tmp_path / "odd")
    done = caption("odd")
    assert len(lines(done)) == len(good)
    assert not [char for char in done.stdout if ord(char) < 32 and char not in "\n\t"]
    back = set()
    for path, _ in lines(done):
        back.add(subprocess.run(["bash", "-c", 'printf %b "$1"', "-", path], capture_output=True, check=True).stdout)
    assert back == {b"odd/" + name for name in good}


def test_jsonl_has_a_record_for_every_picture_and_every_error(caption: Caption, tmp_path: Path) -> None:
    good, bad = captioning.odd(tmp_path / "odd")
    done = caption("odd", "--jsonl")
    assert done.status == 7
    told = records(done)
    names = {base64.b64decode(r["path_base64"]) if "path_base64" in r else r["path"].encode(): r for r in told}
    assert set(names) == {b"odd/" + name for name in good | bad}
    for name in bad:
        assert set(names[b"odd/" + name]) == {"path", "error"}
        assert names[b"odd/" + name]["error"]["code"] == "input"
    turned = names[b"odd/turned.jpg"]
    assert turned["receipts"][0]["rotation"] == "90"
    assert turned["receipts"][0]["source"] == "odd/turned.jpg"
    assert turned["finish_reason"] == "stop" and turned["usage"]["completion_tokens"] > 3
    assert done.json_error == {
        "code": "batch",
        "message": f"{len(bad)} of {len(told)} pictures failed",
        "hint": "the same command retries only those",
    }


def test_json_is_one_array_whatever_happens(caption: Caption, two: Path) -> None:
    done = caption("two.png", "none.png", "--json")
    assert done.status == 7
    assert [("caption" in record, "error" in record) for record in done.json] == [(True, False), (False, True)]
    assert caption("none.png", "--json").status == 3
    assert len(caption("--json", stdin=two.read_bytes()).json) == 1


def test_the_second_run_computes_nothing_and_says_the_same(caption: Caption, two: Path, one: Path) -> None:
    first, second = caption("two.png", "one.png", "--jsonl"), caption("two.png", "one.png", "--jsonl")
    assert [record["cached"] for record in records(first)] == [False, False]
    assert [record["cached"] for record in records(second)] == [True, True]
    for before, after in zip(records(first), records(second), strict=True):
        assert before["caption"] == after["caption"]
        assert {**before["receipts"][0], "origin": "disk"} == after["receipts"][0]
    assert [r["cached"] for r in records(caption("two.png", "--jsonl", "--max-tokens", "5"))] == [False]
    assert [r["cached"] for r in records(caption("two.png", "--jsonl", "--prompt", "What is it?"))] == [False]
    assert [r["cached"] for r in records(caption("two.png", "--jsonl", "--no-cache"))] == [False]


def test_pixels_count_not_names_and_not_bytes(caption: Caption, two: Path) -> None:
    from PIL import Image

    caption("two.png")
    Image.open(two).save(two.with_name("other.bmp"))
    record = records(caption("other.bmp", "--jsonl"))[0]
    assert record["cached"] is True
    assert (record["receipts"][0]["source"], record["receipts"][0]["format"]) == ("other.bmp", "BMP")


def test_a_damaged_cache_is_made_anew(caption: Caption, two: Path, home: Path) -> None:
    first = caption("two.png")
    database = home / "cache" / "mmcli" / "captions.db"
    assert database.stat().st_mode & 0o777 == 0o600
    database.write_bytes(b"this is no database" * 1000)
    assert caption("two.png").stdout == first.stdout
    assert records(caption("two.png", "--jsonl"))[0]["cached"] is True


def test_a_cache_that_cannot_be_written_costs_a_warning_and_no_caption(caption: Caption, two: Path, home: Path) -> None:
    (home / "cache").write_text("a file where a folder should be")
    done = caption("two.png")
    assert done.status == 0
    assert SEEN <= done.words
    assert done.stderr.startswith("warning: captions are not cached for the next run")


def test_a_style_a_language_and_facts_reach_the_model(caption: Caption, two: Path, tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0110], exif[0x0132] = "Shoe\x1b[31mbox <|im_end|> 5", "2024:05:03 14:22:10"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 58.68), 3: "E", 4: (13.0, 22.0, 39.72)})
    Image.open(two).convert("RGB").save(tmp_path / "facts.jpg", exif=exif)
    done = caption(
        "facts.jpg", "--facts", "exif", "--style", "alt-text", "--answer-language", "de", "--debug", "--jsonl"
    )
    assert "Write a short alt text" in done.prompt and "Answer in German." in done.prompt
    for line in ("- date: 2024-05-03 14:22", "- position: 52.5163 N, 13.3777 E", "- camera: Shoe [31mbox"):
        assert line in done.prompt
    assert "\x1b" not in done.prompt
    assert records(done)[0]["facts"]["date"] == "2024-05-03 14:22"
    assert "- date" not in caption("facts.jpg", "--debug").prompt


def test_a_caption_that_is_cut_off_is_noted(caption: Caption, two: Path) -> None:
    done = caption("two.png", "--max-tokens", "3")
    assert done.status == 0
    assert "note: 1 caption is cut off" in done.stderr


def test_a_dry_run_shows_the_plan_and_does_nothing(caption: Caption, two: Path, one: Path, tmp_path: Path) -> None:
    caption("one.png")
    (tmp_path / "text.jpg").write_text("hello\n")
    done = caption("two.png", "one.png", "text.jpg", "--sidecar", "txt", "-o", "out", "--dry-run")
    assert done.status == 7
    plan = dict(lines(done))
    assert plan["two.png"] == f"will be captioned → {Path('out', 'two.txt')}"
    assert plan["one.png"].startswith("is known: ")
    assert "`text.jpg` is a text file" in done.stderr
    assert re.search(r"note: 1 of 3 to be captioned, about \d+ s on this machine", done.stderr)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_knows_what_the_run_will_know(caption: Caption, two: Path, one: Path, tmp_path: Path) -> None:
    """A file whose metadata changed has other bytes and the same pixels; equal pictures are computed once."""
    from PIL.PngImagePlugin import PngInfo

    assert caption("two.png").status == 0
    words = PngInfo()
    words.add_text("Comment", "edited")
    Image.open(two).save(two, pnginfo=words)
    shutil.copy(one, tmp_path / "same.png")
    (tmp_path / "cut.png").write_bytes(one.read_bytes()[:300])
    done = caption("two.png", "one.png", "same.png", "cut.png", "--dry-run")
    plan = dict(lines(done))
    assert plan["two.png"].startswith("is known: I see a red circle")
    assert (plan["one.png"], plan["same.png"]) == ("will be captioned", "gets the caption of an equal picture")
    assert "note: 1 of 4 to be captioned" in done.stderr and "`cut.png` is cut short" in done.stderr
    planned = [record.get("planned") for record in records(caption("one.png", "same.png", "--dry-run", "--jsonl"))]
    assert planned == ["caption", "equal"]
    ran = records(caption("two.png", "one.png", "same.png", "--jsonl"))
    assert [record["cached"] for record in ran] == [True, False, True]


def test_a_caption_that_was_cut_is_marked_and_made_again(
    caption: Caption, two: Path, one: Path, tmp_path: Path
) -> None:
    sidecars = ("--sidecar", "json", "--sidecar", "xmp", "--sidecar", "txt", "--jsonl")
    run = ("two.png", "one.png", *sidecars)

    def told(*arguments: str) -> list[tuple[bool, bool, bool]]:
        """(cut, cached, whether the sidecars say so, too) of each picture."""
        found = []
        for record in records(caption(*run, *arguments)):
            beside = json.loads((tmp_path / f"{record['path']}.json").read_text())
            marked = b"<mmcli:Cut>True</mmcli:Cut>" in (tmp_path / f"{record['path']}.xmp").read_bytes()
            assert beside["caption"] == record["caption"]
            assert record["cut"] == beside["cut"] == marked == (record["finish_reason"] == "length")
            assert (tmp_path / record["path"]).with_suffix(".txt").read_text() == record["caption"] + "\n"
            found.append((record["cut"], record["cached"]))
        return found

    short = ("--max-tokens", "8")  # enough for one of the two
    assert told(*short) == [(True, False), (False, False)]
    assert told(*short) == [(True, True), (False, True)]
    assert told("--retry-cut", *short) == [(True, False), (False, True)]  # as asked, though it cannot help
    # a larger limit makes again what was cut, and nothing else
    assert told("--retry-cut", "--max-tokens", "64") == [(False, False), (False, True)]
    # and what was made again stays, whatever the limit was before
    assert told(*short) == [(False, True), (False, True)]
    assert told("--retry-cut", *short) == [(False, True), (False, True)]
    assert told("--max-tokens", "7")[0] == (True, False)  # a limit that nobody has retried


def test_without_a_limit_what_was_cut_gets_four_times_the_room(mmcli: Run, two: Path, parrot: Random) -> None:
    run = ("caption", "two.png", *parrot.options, "--style", "filename", "--no-loop-guard", "--jsonl")
    for retry, n_tokens in (((), 24), (("--retry-cut",), 96)):
        (record,) = records(mmcli(*run, *retry))
        assert (record["cut"], record["usage"]["completion_tokens"]) == (True, n_tokens)


def test_verbose_shows_what_the_model_got(caption: Caption, two: Path) -> None:
    done = caption("two.png", "-v")
    assert "two.png: PNG 320×240, 64 tokens, encoded" in done.stderr


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path, environment: dict[str, str]) -> None:
    captioning.many(tmp_path / "many", 40)
    command = '"$0" -m mmcli caption many -m starter | head -n 2; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable], cwd=tmp_path, env=environment, capture_output=True, timeout=TIMEOUT
    )
    out = done.stdout.decode().splitlines()
    assert (len(out), out[-1], done.stderr) == (3, "141", b"")


def test_a_full_disk_is_told(two: Path, environment: dict[str, str]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mmcli", "caption", "two.png", "-m", "starter"],
            cwd=two.parent,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
        )
    assert done.returncode == 6
    assert done.stderr.startswith(b"error: cannot write: No space left on device")


def test_the_manual_explains_every_field_of_a_record(caption: Caption, two: Path, tmp_path: Path) -> None:
    text = (PICTURES.parents[1] / "docs" / "captioning.md").read_text("utf-8")
    done = caption("two.png", "--jsonl", "--sidecar", "txt")
    known = (PICTURES.parents[1] / "docs" / "reference.md").read_text("utf-8")
    for key in (*records(done)[0], "path_base64", "renamed_base64", "error", "kept", "planned", "facts"):
        assert re.search(rf"`[^`]*\b{key}[`.]", text + known), key


# stopped, and seen


def test_ctrl_c_tells_how_far_it_came_and_the_same_command_goes_on(
    caption: Caption, tmp_path: Path, environment: dict[str, str]
) -> None:
    captioning.many(tmp_path / "many", 60)
    process = start(tmp_path, environment, "many", "--jsonl", "--parallel", "4")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    before = [json.loads(line) for line in (first + rest).splitlines()]
    assert before and all(record["caption"] for record in before)
    again = records(caption("many", "--jsonl"))
    assert [record["path"] for record in again] == [f"many/{i:03}.png" for i in range(60)]
    known = {record["path"] for record in again if record["cached"]}
    assert {record["path"] for record in before} <= known
    assert len(known) < 60


def test_ctrl_c_on_a_terminal_leaves_a_line_that_says_how_far(tmp_path: Path, environment: dict[str, str]) -> None:
    captioning.many(tmp_path / "many", 60)
    child = on_terminal(tmp_path, environment, "many")
    child.expect(r"\[[#-]+\] +\d+% +\d+/60 +[0-9.]+ per minute +\d+ .* left")
    child.sendintr()
    child.expect(r"stopped after \d+ of 60 pictures; the same command continues from there")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert b"Traceback" not in child.before


def test_the_progress_line_counts_failures_and_is_gone_at_the_end(tmp_path: Path, environment: dict[str, str]) -> None:
    captioning.many(tmp_path / "many", 40)
    (tmp_path / "many" / "000-bad.png").write_bytes(b"")
    child = on_terminal(tmp_path, environment, "many")
    child.expect("1 failed")
    child.expect("039.png")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 7
    assert b"per minute" not in child.before.splitlines()[-1]


@pytest.mark.parametrize("arguments", [("many", "-q"), ("many", "--jsonl")])
def test_there_is_no_progress_where_nobody_looks(
    tmp_path: Path, environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    captioning.many(tmp_path / "many", 12)
    process = start(tmp_path, environment, *arguments)
    _, told = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, told) == (0, b"")


def test_a_model_that_cannot_be_loaded_ends_the_run_at_once(mmcli: Run, two: Path, tiny: Random) -> None:
    done = mmcli("caption", "two.png", "one.png", "-m", tiny.weights, "--mmproj", PROJECTOR)
    assert done.status == 4
    assert done.stdout == ""
    assert done.stderr.splitlines()[-2].startswith("error: ") and "Traceback" not in done.stderr


def test_who_waits_long_is_told_how_long_and_of_the_faster_build(tmp_path: Path, environment: dict[str, str]) -> None:
    captioning.many(tmp_path / "many", 40)
    flags = f"flags\t: {' '.join(hardware.X86.values())}\n"  # a CPU that has it all
    (tmp_path / "cpuinfo").write_text(flags)
    program = (
        "import sys; from pathlib import Path; from mmcli import main; from mmcli.engine import hardware\n"
        "from mmcli.terminal import batch_view\n"
        "hardware.CPUINFO, batch_view.LONG = Path('cpuinfo'), 0.1; main.main()"
    )
    child = on_terminal(tmp_path, environment, "many", program=("-c", program))
    child.expect(r"\d+ pictures to go: about .* on this machine, measured on the first \d+")
    unused = cpu.unused(cpu.from_cpuinfo(flags), cpu.used(bindings.version()))
    if unused and not bindings.can_offload():
        child.expect(f"this CPU has {', '.join(unused)}, which llama.cpp's build here leaves unused")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert child.before.count(b"pictures to go") == child.before.count(b"leaves unused") == 0  # told once
    if unused and not bindings.can_offload():  # and never again
        again = on_terminal(tmp_path, environment, "many", "--no-cache", program=("-c", program))
        again.expect("pictures to go")
        again.expect(pexpect.EOF)
        again.close()
        assert again.exitstatus == 0 and b"leaves unused" not in again.before


def on_terminal(
    folder: Path, environment: dict[str, str], *arguments: str, program: tuple[str, str] = ("-m", "mmcli")
) -> Any:
    return pexpect.spawn(
        sys.executable,
        [*program, "caption", "-m", "starter", *arguments],
        cwd=str(folder),
        env=environment | {"TERM": "xterm-256color"},
        timeout=TIMEOUT,
        dimensions=(24, 120),
    )
