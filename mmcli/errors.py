"""The errors that mmcli reports, and the exit status of each. main.py prints them.

    MmcliError                 1  never raised itself
    ├── UsageError             2  the command line contradicts itself or names a bad value
    ├── InputError             3  an input is missing, unreadable, or of an unknown format
    ├── ModelError             4  a model is missing, broken, or lacks the needed ability or projector
    ├── NetworkError           5  network, download, authorization
    ├── ResourceError          6  not enough memory, disk or context
    │   └── ContextFull           of context: a talk may go on without its oldest turns
    ├── BatchError             7  a batch finished, some of its files failed
    ├── OutputError            8  the output failed its schema or fell into a loop
    └── AudioDeviceError       9  no microphone, no speaker, no permission

130 (interrupted) and 141 (closed pipe) are signals, not errors: main.py sets them.
Anything that is not an MmcliError is a bug of ours and keeps its traceback.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class MmcliError(Exception):
    """A message to the user: one sentence naming the value in backticks, and what to do next.

    `code` is the stable word that `--json` prints; `status` the process's exit status.
    """

    status = 1
    code = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def released(self) -> Self:
        """This error without its traceback and causes.

        Their frames hold what was being worked on, decoded pixels for instance, for as long as the error is kept.
        """
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


class UsageError(MmcliError):
    status = 2
    code = "usage"


class InputError(MmcliError):
    status = 3
    code = "input"


class ModelError(MmcliError):
    status = 4
    code = "model"


class NetworkError(MmcliError):
    status = 5
    code = "network"


class ResourceError(MmcliError):
    status = 6
    code = "resources"


class ContextFull(ResourceError):
    pass


class BatchError(MmcliError):
    status = 7
    code = "batch"


class OutputError(MmcliError):
    status = 8
    code = "output"


class AudioDeviceError(MmcliError):
    status = 9
    code = "audio_device"


def releasing(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function's MmcliErrors hold none of its frames, for callers that keep them."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except MmcliError as error:
            raise error.released() from None

    return run


# Native code that aborts takes the process with it, and cannot be caught: its error is handed to this instead of being
# raised. main.py, the only place that exits, puts here what tells it and ends with its status; with None it aborts.
last_words: Callable[[MmcliError], None] | None = None

INTERRUPTED = 130
CLOSED_PIPE = 141
