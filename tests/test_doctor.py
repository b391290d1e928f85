"""`mmcli doctor`: what it finds on this machine, and the card that shows whether a model sees."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from mmcli import engine, history
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.health import (
    Finding,
    build_hint,
    canary,
    canary_process,
    checkup,
    cpu,
    data_files,
    environment,
    native,
    probe_process,
    sounds,
    status,
)
from mmcli.models import adopted, pinned_hashes
from mmcli.models.hub import Remote
from tests.conftest import PROJECTOR, WEIGHTS, Random, Run
from tests.speaking import needs_espeak

AVX2_BUILD = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 | OPENMP = 1 | "
AMX_BUILD = AVX2_BUILD + "AVX512 = 1 | AVX512_VNNI = 1 | AMX_INT8 = 1 | "
SERVER = "model name\t: A server CPU\nflags\t\t: fpu avx avx2 fma f16c bmi2 avx512f avx512_vnni amx_int8\n"
LAPTOP = "model name\t: A laptop CPU\nflags\t\t: fpu avx avx2 fma f16c bmi2\n"


def by_check(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in findings}


def crashing(number: int, *told: str) -> list[str]:
    """A child that tells these lines, and is ended by the signal."""
    code = f"import os\nfor line in {told!r}: print(line, flush=True)\nos.kill(os.getpid(), {number})"
    return [sys.executable, "-c", code]


# the command


def test_the_doctor_finds_this_machine_usable(mmcli: Run) -> None:
    done = mmcli("doctor")
    assert done.status == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("  ")]
    assert {line.split()[0] for line in lines} <= {"ok", "warning"}
    for check in ("mmcli", "llama.cpp", "computing", "cpu", "gpu", "memory", "cache", "config", "history", "adopted"):
        assert any(line.split(None, 1)[1].startswith(f"{check}: ") for line in lines), check
    for check in ("downloads", "microphone", "loudspeaker", "speech model", "voice", "clipboard", "path"):
        assert any(line.split(None, 1)[1].startswith(f"{check}: ") for line in lines), check
    assert "\x1b" not in done.stdout


def test_its_json_has_every_finding_with_a_remedy_where_one_is_needed(mmcli: Run) -> None:
    told = mmcli("doctor", "--json").json
    assert set(told) == {"status", "findings"}
    assert told["status"] == 0
    for finding in told["findings"]:
        assert set(finding) == {"check", "level", "message", "remedy", "facts"}
        assert finding["level"] in ("ok", "warning", "problem")
        assert finding["level"] == "ok" or finding["remedy"], finding
    found = by_check(told["findings"])
    assert {"package", "version", "system", "devices"} <= set(found["llama.cpp"]["facts"])
    assert found["computing"]["facts"]["items"][-1]["item"] == "blind"
    assert found["memory"]["facts"]["cores"] >= 1


def test_what_is_kept_in_the_data_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCLI_DATA_DIR", str(tmp_path))
    assert [finding.level for finding in data_files.examine()] == ["ok"] * 3
    assert not list(tmp_path.iterdir())  # nothing is made by looking
    with history.Store(tmp_path) as store:
        for _ in range(30):
            turn = store.ask(store.start("ask", "m"), "What? " * 300)
            store.say(turn, "This.")
    there = adopted.Adopted("here", "LM Studio", Path(__file__), Path(__file__), True, False)
    adopted.save([there, replace(there, name="lost", weights=tmp_path / "none.gguf")])
    pinned_hashes.keep(Remote("a/b", "main", "1" * 40, "x", 5, "a" * 64), tmp_path)
    found = {finding.check: finding for finding in data_files.examine()}
    assert (found["history"].level, found["history"].facts["talks"]) == ("ok", 30)
    assert (found["adopted"].level, found["adopted"].facts["gone"]) == ("warning", ["lost"])
    assert "--adopt" in (found["adopted"].remedy or "")
    assert (found["downloads"].level, found["downloads"].facts["files"]) == ("ok", 1)

    database = tmp_path / "history.db"
    data = bytearray(database.read_bytes())
    data[8192:40_960] = b"\xff" * (40_960 - 8192)  # pages behind the first two
    database.write_bytes(data)
    adopted.file().write_text("{")
    pinned_hashes.file().write_text("[]")
    found = {finding.check: finding for finding in data_files.examine()}
    assert [found[name].level for name in ("history", "adopted", "downloads")] == ["warning", "problem", "warning"]
    assert "damaged" in found["history"].message and "move it away" in (found["history"].remedy or "")
    assert (found["adopted"].status, "--adopt" in (found["adopted"].remedy or "")) == (2, True)
    assert "set" in (found["downloads"].remedy or "") and pinned_hashes.file().read_text() == "[]"


def test_a_bad_config_is_a_finding_and_not_the_end(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('temprature = "hot"\n')
    done = mmcli("doctor", "--json", env={"MMCLI_CONFIG": str(tmp_path / "config.toml")})
    assert done.status == 2
    found = by_check(done.json["findings"])["config"]
    assert found["level"] == "problem"
    assert "`temprature`" in found["message"] and "`temperature`" in found["remedy"]


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_another_program_called_mmcli_is_told(mmcli: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    other = tmp_path / "bin" / "mmcli"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho modems\n")
    other.chmod(0o755)
    path = os.pathsep.join((str(other.parent), environment["PATH"]))
    done = mmcli("doctor", "--json", env={"PATH": path})
    found = by_check(done.json["findings"])["path"]
    assert (done.status, found["level"]) == (0, "warning")
    assert str(other) in found["message"] and "export PATH=" in found["remedy"]


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_our_own_program_is_known_wherever_it_lies(tmp_path: Path) -> None:
    ours, other = tmp_path / "a" / "mmcli", tmp_path / "b" / "mmcli"
    for file, text in ((ours, "#!/usr/bin/python\nfrom mmcli.__main__ import main\nmain()\n"), (other, "#!/bin/sh\n")):
        file.parent.mkdir()
        file.write_text(text)
        file.chmod(0o755)
    assert environment.path([str(ours.parent)]).level == "ok"
    first = environment.path([str(ours.parent), str(other.parent)])
    assert first.level == "ok" and str(other) in first.message
    later = environment.path([str(other.parent), str(ours.parent)])
    assert later.level == "warning" and str(ours.parent) in (later.remedy or "")


def test_the_status_is_that_of_the_first_problem() -> None:
    fine, odd = Finding("a", "ok", ""), Finding("b", "warning", "", "do")
    assert status([fine, odd]) == 0
    assert status([fine, Finding("config", "problem", "", "do", status=2), Finding("c", "problem", "", "do")]) == 2


# children that crash


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("name", ["SIGILL", "SIGABRT", "SIGSEGV"])
def test_a_crash_while_loading_becomes_a_sentence(name: str) -> None:
    ended = probe_process.run(crashing(getattr(signal, name), '{"package": "0.3.36", "compiler": "GCC 12"}'))
    found = native.build(ended)
    assert found.level == "problem" and found.status == 4
    assert name in found.message and "-DGGML_NATIVE=OFF" in (found.remedy or "")
    assert found.facts["package"] == "0.3.36"  # what it told before


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("system", "flag"), [(AVX2_BUILD, "-DGGML_NATIVE=OFF"), (AMX_BUILD, "doctor --rebuild")])
def test_a_crash_while_computing_names_the_build_that_helps(system: str, flag: str) -> None:
    ended = probe_process.run(crashing(signal.SIGILL, '{"progress": ["load", 100, 100]}'))
    found = native.computes(ended, {"system": system, "compiler": "GCC 12"})
    assert found.level == "problem" and "SIGILL" in found.message
    assert flag in (found.remedy or "")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_model_that_crashes_is_told_with_what_it_said_last() -> None:
    code = "import os, sys; sys.stderr.write('GGML_ASSERT(n > 0) failed\\n'); sys.stderr.flush(); os.abort()"
    (found,) = checkup.judge("m", probe_process.run([sys.executable, "-c", code]), seed=1)
    assert found.level == "problem" and "SIGABRT" in found.message and "GGML_ASSERT" in found.message


def test_a_child_that_hangs_is_ended() -> None:
    ended = probe_process.run([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.5)
    assert ended.crash is not None and "no result" in ended.crash


def test_what_a_library_prints_is_no_fact() -> None:
    ended = probe_process.run(
        [sys.executable, "-c", "print('ggml_cuda_init: found'); print('[1]'); print('{\"a\": 1}')"]
    )
    assert (ended.facts, ended.crash) == ([{"a": 1}], None)


def test_a_missing_llama_cpp_python_is_told() -> None:
    told = {"error": "llama-cpp-python is not installed", "hint": "pip install llama-cpp-python"}
    found = native.build(probe_process.Ended([told]))
    assert (found.level, found.message, found.remedy) == ("problem", *told.values())


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_the_examination_with_its_children(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "mmcli", "doctor"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline().startswith("ok       mmcli: ")
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        assert running.stderr.read() == ""


# the CPU and the build


@pytest.mark.parametrize(
    ("machine", "system", "level", "says"),
    [
        (SERVER, AVX2_BUILD, "warning", "4.1 s instead of 13.9 s"),
        (SERVER.replace(" amx_int8", ""), AVX2_BUILD, "warning", "7.0 s instead of 13.9 s"),
        (SERVER, AMX_BUILD, "ok", "GCC 13"),
        (LAPTOP, AVX2_BUILD, "ok", "everything that is known to help"),
        (LAPTOP, AMX_BUILD, "warning", "it can crash"),
    ],
)
def test_the_build_is_held_against_the_cpu(machine: str, system: str, level: str, says: str) -> None:
    told = {"system": system, "compiler": "GCC 13"}
    found = native.processor(told, computes=True, here=cpu.from_cpuinfo(machine))
    assert (found.level, says in found.message) == (level, True), found
    assert level == "ok" or "llama-cpp-python" in (found.remedy or "") or "doctor --rebuild" in (found.remedy or "")


@pytest.mark.parametrize(
    ("compiler", "risky"),
    [("GCC 11", True), ("GCC 12", True), ("GCC 13", True), ("GCC 14", False), ("clang 18", False), (None, False)],
)
def test_amx_is_in_doubt_where_the_compiler_is_known_to_be_wrong(compiler: str | None, risky: bool) -> None:
    assert cpu.is_risky(cpu.used(AMX_BUILD), compiler) is risky
    assert not cpu.is_risky(cpu.used(AVX2_BUILD), compiler)


def test_a_build_for_any_cpu_is_one_command() -> None:
    told = build_hint.command()
    assert 'CMAKE_ARGS="-DGGML_NATIVE=OFF"' in told and " llama-cpp-python==" in told


@pytest.mark.parametrize(
    ("devices", "level", "says"),
    [
        ([{"name": "CUDA0", "description": "A GPU", "type": "GPU", "free": 7e9, "total": 8e9}], "ok", "7.0 of 8.0 GB"),
        ([], "warning", "finds none"),
    ],
)
def test_a_gpu_build_tells_its_devices(devices: list[dict[str, Any]], level: str, says: str) -> None:
    (found,) = native.gpus({"devices": devices, "backends": ["cuda"]})
    assert found.level == level and says in found.message


# the card


@pytest.fixture(scope="module")
def starter() -> Iterator[LocalEngine]:
    with engine.load(WEIGHTS, PROJECTOR, Options(media_newline=True)) as ready:
        yield ready


@pytest.mark.parametrize("seed", range(8))
def test_the_starter_sees_its_card(starter: LocalEngine, seed: int) -> None:
    items = list(canary_process.look(starter, canary.draw("shapes", seed)))
    assert all(item.passed for item in items if item.essential), items


@pytest.mark.parametrize("seed", range(3))
def test_the_starter_fails_where_it_is_shown_nothing(starter: LocalEngine, seed: int) -> None:
    items = list(canary_process.look(starter, canary.draw("shapes", seed).blind()))
    assert not any(item.passed for item in items[:2]), items
    facts = [{"item": asdict(item)} for item in items]
    assert status(checkup.judge("starter", probe_process.Ended(facts), seed)) == 4


def test_a_model_is_shown_a_card_and_passes(mmcli: Run) -> None:
    done = mmcli("doctor", "-m", "starter", "--seed", "5", "--json")
    assert done.status == 0
    found = by_check(done.json["findings"])
    assert found["sight: left shape"]["level"] == found["sight: blind"]["level"] == found["model"]["level"] == "ok"
    assert found["model"]["facts"]["seed"] == 5


def test_random_weights_do_not_pass(mmcli: Run, tiny: Random) -> None:
    done = mmcli("doctor", "-m", tiny.weights, "--mmproj", tiny.projector)
    assert done.status == 4
    (line,) = [line for line in done.stdout.splitlines() if "sight: digits" in line]
    assert line.startswith("problem")
    assert "projector" in done.stdout and "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "lone.gguf"), "no projector"),
        (("-m", "none.gguf"), "there is no file"),
        (("-m", str(WEIGHTS), "--mmproj", str(WEIGHTS)), "is not a projector"),
    ],
)
def test_a_model_that_cannot_see_is_a_finding(
    mmcli: Run, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "lone.gguf").symlink_to(WEIGHTS)  # no projector lies beside it
    done = mmcli("doctor", *arguments, "--json")
    assert done.status == 4
    found = by_check(done.json["findings"])["model"]
    assert says in found["message"] and found["remedy"]


def test_a_projector_of_another_model_is_a_finding(mmcli: Run, tiny: Random) -> None:
    done = mmcli("doctor", "-m", WEIGHTS, "--mmproj", tiny.projector, "--json")
    assert done.status == 4
    assert "projector" in by_check(done.json["findings"])["model"]["message"]


@pytest.mark.parametrize("kind", ["text", "shapes"])
def test_a_seed_draws_one_card_and_another_seed_another(kind: canary.Kind) -> None:
    cards = [canary.draw(kind, seed) for seed in range(20)]
    assert cards[3] == canary.draw(kind, 3)
    assert len({card.picture for card in cards}) > 10
    for card in cards:
        first = card.questions[0]
        assert first.essential and first.is_right(f"It is {first.expected}.") and not first.is_right("I see nothing.")


def question(item: str, expected: str, choices: tuple[str, ...] = (), essential: bool = False) -> canary.CanaryQuestion:
    return canary.CanaryQuestion(item, "?", expected, choices, essential)


@pytest.mark.parametrize(
    ("asked", "answer", "means"),
    [
        (question("digits", "4729"), "9274", canary.MIRRORED),
        (question("digits", "4729"), "The number is 4123.", canary.DAMAGED),
        (question("digits", "4729"), "A cat on a sofa.", canary.UNSEEN),
        (question("arrow", "left", canary.TURNS), "right", canary.MIRRORED),
        (question("arrow", "left", canary.TURNS), "Upwards.", canary.TURNED),
        (question("edge", "red", tuple(canary.COLOURS)), "Blue", canary.SWAPPED),
        (question("place", "circle", canary.SHAPES), "a star", canary.MIRRORED),
    ],
)
def test_a_wrong_answer_is_explained(asked: canary.CanaryQuestion, answer: str, means: str) -> None:
    assert not asked.is_right(answer)
    assert asked.meaning(answer).startswith(means)


@pytest.mark.parametrize("answer", ["4729", "4 7 2 9", "4,729.", "The digits are **4729**"])
def test_digits_are_read_however_they_are_written(answer: str) -> None:
    assert question("digits", "4729").is_right(answer)


def test_who_names_every_direction_knows_none() -> None:
    asked = question("arrow", "up", canary.TURNS)
    assert asked.is_right("It points upwards.")
    assert not asked.is_right("up, right, down or left")


def test_a_mirrored_picture_is_noticed(starter: LocalEngine, tmp_path: Path) -> None:
    card = canary.draw("shapes", 2)
    mirrored = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(card.picture))).save(mirrored, "PNG")
    place = [
        item
        for item in canary_process.look(starter, replace(card, picture=mirrored.getvalue()))
        if item.item == "place"
    ]
    assert not place[0].passed and (place[0].meaning or "").startswith(canary.MIRRORED)


def test_a_guess_about_nothing_is_no_sight() -> None:
    item = canary_process.Item("blind", "?", "red", "red", False, True, canary.STALE)
    found, end = checkup.judge("m", probe_process.Ended([{"item": asdict(item)}]), seed=1)
    assert found.level == end.level == "problem" and "empty picture" in found.message
    assert "--seed 1" in end.message


# what it hears, speaks and pastes with


def ended(*facts: dict[str, Any], crash: str | None = None) -> probe_process.Ended:
    return probe_process.Ended(list(facts), crash)


def test_devices_are_told_each_on_a_line() -> None:
    told = ended({"microphones": ["USB"]}, {"loudspeakers": []})
    microphone, loudspeaker = sounds.devices(told)
    assert (microphone.check, microphone.level, microphone.message) == ("microphone", "ok", "USB")
    assert (loudspeaker.check, loudspeaker.level) == ("loudspeaker", "warning") and loudspeaker.remedy
    for finding in sounds.devices(ended({"missing": "portaudio"})):
        assert finding.level == "warning" and "apt install libportaudio2" in (finding.remedy or "")
    assert all("SIGSEGV" in finding.message for finding in sounds.devices(ended(crash="a fault (SIGSEGV)")))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's clipboards")
def test_the_clipboard_s_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYLAND_DISPLAY", "DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert (sounds.clipboard().level, "ssh" in sounds.clipboard().message) == ("ok", True)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (sounds.clipboard().level, sounds.clipboard().remedy) == ("warning", "install wl-clipboard")
    (tmp_path / "wl-paste").write_text("#!/bin/sh\n")
    (tmp_path / "wl-paste").chmod(0o755)
    assert (sounds.clipboard().level, sounds.clipboard().facts["tools"]) == ("ok", ["wl-paste"])


def test_the_voice_is_told_and_one_that_is_not_here_is_a_warning(mmcli: Run) -> None:
    for name, told in (("nobody", "no model named `nobody`"), ("qwen3-tts-1.7b", "is not on this machine yet")):
        found = by_check(mmcli("doctor", "--json", "--voice-model", name).json["findings"])["voice"]
        assert found["level"] == "warning" and told in found["message"] and found["remedy"], found


@needs_espeak
def test_a_speech_model_hears_a_sentence_by_path_too(mmcli: Run, speech_model: Path) -> None:
    for arguments in (("--speech-model", str(speech_model)), ("-m", str(speech_model / "model.bin"))):
        told = mmcli("doctor", *arguments, "--json").json
        assert told["status"] == 0, told
        found = [finding for finding in told["findings"] if finding["check"] == "speech model"][-1]
        assert found["level"] == "ok", found
        assert "circles" in found["message"] and found["facts"]["likeness"] >= 0.6
    assert sum(finding["check"].startswith("sight") for finding in told["findings"]) == 0


def test_a_speech_model_that_cannot_be_used_is_a_problem(mmcli: Run, speech_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(speech_model, damaged)
    (damaged / "model.bin").write_bytes(b"damaged")
    for name in (str(damaged), "whisper-small", "nobody", str(tmp_path)):
        told = mmcli("doctor", "--speech-model", name, "--json").json
        found = by_check(told["findings"])["speech model"]
        assert (told["status"], found["level"]) == (4, "problem"), found
        assert found["remedy"]


def test_what_a_speech_model_s_child_tells_is_judged() -> None:
    knows = {"device": "cpu", "compute_type": "int8", "languages": 99}
    assert "no voice here" in sounds.judge("w", ended(knows)).message
    right, wrong = (ended(knows, {"said": "a b c", "heard": "x", "likeness": like}) for like in (0.9, 0.1))
    assert (sounds.judge("w", right).level, sounds.judge("w", wrong).level) == ("ok", "warning")
    assert sounds.judge("w", ended(crash="an abort (SIGABRT)")).level == "problem"
