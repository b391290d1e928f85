"""Turns off what libraries report about their users to their makers, before they are imported.

onnxruntime 1.29 and later, by which faster-whisper finds speech, sends a device's ID and the names of models to
Microsoft from Linux and macOS too, by native code that `--offline` does not see. It looks at the variable once, when it
is imported (microsoft/onnxruntime, pull request 27379).
"""

from __future__ import annotations

import os
import sys

# Each is one library's own opt-out; the last is a convention that some honour (consoledonottrack.com).
OPT_OUTS = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")


def forbid() -> None:
    """From now on no library that is imported reports anything, in child processes neither; whatever was set before."""
    os.environ.update(dict.fromkeys(OPT_OUTS, "1"))


def forbid_onnxruntime() -> None:
    """The same for an onnxruntime that is imported next; on Windows there is no variable, but a function."""
    forbid()
    if sys.platform == "win32":
        import onnxruntime

        onnxruntime.disable_telemetry_events()
