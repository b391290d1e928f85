"""How long a spoken question takes to be answered: end of speech → turn over → text → first word → first sound.

    python -m tests.bench.voice [--model starter] [--speech-model starter] [--runs 5] [--no-speak] [--mmproj FILE]

espeak-ng speaks into the virtual microphone of the tests; `mmcli voice -v` tells the moments itself, counted from the
last sound of speech that the detector saw. Each step is the median, with the least and the most; there is no bar, since
the first step is a decision (docs/voice.md) and the rest belongs to the models.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import tempfile
from pathlib import Path

from tests.bench.measure import machine
from tests.conftest import PICTURES
from tests.virtual_microphone import virtual_microphone
from tests.voices import Voice

QUESTIONS = (
    "What is in this picture?",
    "How many shapes are there?",
    "Is there a blue square?",
    "What colors are there?",
)
STEPS = ("turn over", "text", "first word", "first sound")
TOLD = re.compile(r"note: after the end of speech: (.*)")


def measure(arguments: list[str], runs: int, folder: Path) -> list[dict[str, float]]:
    """One talk with `runs` rounds of the questions; the seconds of each spoken turn."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MMCLI_", "PULSE_", "XDG_"))}
    env |= {"MMCLI_CONFIG": os.devnull, "MMCLI_HISTORY": "0", "HOME": str(folder)}
    shutil.copy(PICTURES / "shapes.png", folder)
    with virtual_microphone() as microphone:
        if "--speak" in arguments:
            microphone.speak_elsewhere()
        voice = Voice(["shapes.png", "-v", "--temperature", "0", *arguments], env, folder, microphone)
        try:
            voice.listens()
            for question in QUESTIONS * runs:
                before = len(TOLD.findall(voice.told))
                voice.say(question, lambda before=before: len(TOLD.findall(voice.told)) > before, "its times")  # type: ignore[misc]
            voice.end()
        finally:
            voice.close()
    steps = [re.findall(r"([a-z ]+) ([\d.]+) s", told) for told in TOLD.findall(voice.told)]
    return [{name.strip(): float(seconds) for name, seconds in found} for found in steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--mmproj")
    parser.add_argument("--speech-model", default="starter")
    parser.add_argument("--runs", type=int, default=5, help="rounds of four questions")
    parser.add_argument("--speak", action=argparse.BooleanOptionalAction, default=True)
    wanted = parser.parse_args()
    arguments = ["-m", wanted.model, "--speech-model", wanted.speech_model]
    arguments += ["--mmproj", wanted.mmproj] if wanted.mmproj else []
    arguments += ["--speak", "--voice", "en-us"] if wanted.speak else []
    print(machine())
    with tempfile.TemporaryDirectory(prefix="voice") as folder:
        found = measure(arguments, wanted.runs, Path(folder))
    print(f"{wanted.model} heard by {wanted.speech_model}, {len(found)} turns; seconds after the end of speech")
    for step in STEPS:
        seconds = [one[step] for one in found if step in one]
        if seconds:
            print(f"{step:<12} {statistics.median(seconds):5.2f}  ({min(seconds):.2f} … {max(seconds):.2f})")


if __name__ == "__main__":
    main()
