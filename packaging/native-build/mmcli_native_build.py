"""Chooses how llama.cpp is compiled, when it is compiled: uv puts this beside llama-cpp-python's build (uv.toml).

A .pth file imports this module whenever a Python of that build starts. Whatever goes wrong here, the safe build that
uv.toml names remains.
"""

import os
import shlex

from mmcli_native_build import variants


def choose(environment):
    """Replace the safe CMAKE_ARGS by those for this machine; arguments that somebody chose stay as they are."""
    if environment.get("CMAKE_ARGS", "").strip() == variants.SAFE:
        environment["CMAKE_ARGS"] = shlex.join(variants.here(environment))


try:
    choose(os.environ)
except Exception as error:
    os.write(2, f"mmcli: the safe build of llama.cpp is taken: {error!r}\n".encode())
