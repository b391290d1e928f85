"""Heavy libraries, who may name them, and what a Python has loaded after some code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# Heavy or native libraries -> the files that may name them. Whoever starts mmcli waits for none of them.
MAY_NAME = {
    "llama_cpp": {"engine/local/bindings.py"},
    "rich": {"terminal/"},
    "markdown_it": {"terminal/", "documents/"},
    "av": {
        "media/audio.py",
        "media/soundtrack.py",
        "media/mixing.py",
        "media/jpegs.py",
        "media/video.py",
        "media/film_reader.py",
        "media/film_frames.py",
        "media/film_subtitles.py",
    },
    "llguidance": {"engine/grammar.py"},
    "fastjsonschema": {"extraction/answer_schema.py"},
    "pypdfium2": {"media/pdf.py"},
    "pillow_heif": {"media/pillow.py"},
    "simplejpeg": {"media/jpegs.py"},
    "httpx": {"media/web.py"},
    "httpx2": {"media/web.py", "models/hub.py", "models/hub_errors.py"},
    "huggingface_hub": {"models/hub.py", "models/hub_errors.py", "models/removing.py"},
    "filelock": {"library/store.py", "models/pinned_hashes.py", "models/removing.py"},
    "jinja2": {"engine/local/sandbox.py"},
    "psutil": {"engine/hardware.py"},
    "prompt_toolkit": {"terminal/keyboard.py", "terminal/interruptible_prompt.py"},
    "PIL": {"media/", "embed/prepare.py", "terminal/pixels.py", "terminal/graphics.py", "health/canary.py"},
    "wcwidth": {"speech/atoms.py"},
    "sounddevice": {"health/microphone.py", "speech/devices.py"},
    "faster_whisper": {"speech/transcriber.py", "speech/vad.py", "speech/spans.py", "speech/windows.py"},
    "ctranslate2": {"speech/transcriber.py"},
    "python_calamine": {"media/office.py"},
    "mammoth": {"media/office.py"},
    "cv2": {"documents/ocr.py"},
    "onnxruntime": {"documents/ocr.py", "embed/onnx.py", "telemetry.py"},
    "tokenizers": {"embed/words.py", "embed/merges.py"},
    "numpy": {
        "media/",
        "documents/",
        "engine/",
        "embed/",
        "library/",
        "speech/",
        "health/listening.py",
        "terminal/pixels.py",
        "terminal/graphics.py",
    },
    "typer": {"main.py", "commands/"},
    "sqlite3": {
        "history/",
        "jobs/result_cache.py",
        "outputs/row_files.py",
        "documents/choose.py",
        "library/",
        "database.py",
    },
}
HEAVY = {*MAY_NAME, "huggingface_hub", "sounddevice", "torch", "gguf", "click"} - {"typer"}


def loaded(code: str, environment: dict[str, str], folder: Path) -> set[str]:
    """Top-level modules in a new Python after `code`; it may print what it likes."""
    code += "\nimport sys, json; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))
