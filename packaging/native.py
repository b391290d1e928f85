"""How llama.cpp is compiled for this machine: prints it for pip and pipx, and packs it for uv.

    CMAKE_ARGS="$(python3 packaging/native.py)" pip install .
    python3 packaging/native.py --pack      after a change of mmcli/health/variants.py or llama.cmake

uv takes a package from packaging/native-build/ into llama-cpp-python's build (uv.toml). It must be a wheel: uv keys
what it has built by the requirement, and with a path as the requirement every clone would compile llama.cpp anew. Its
version ends with a hash of its contents, so a change of them is a new build. Needs the standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import shlex
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "packaging" / "native-build"
NAME = "mmcli_native_build"
SETTINGS = ROOT / "uv.toml"


def contents() -> dict[str, bytes]:
    """What is in the wheel, but for its metadata."""
    sources = {
        "__init__.py": FOLDER / f"{NAME}.py",
        "variants.py": ROOT / "mmcli" / "health" / "variants.py",
        "llama.cmake": ROOT / "mmcli" / "health" / "llama.cmake",
    }
    files = {f"{NAME}/{name}": path.read_text("utf-8").encode() for name, path in sources.items()}
    return files | {f"{NAME}.pth": f"import {NAME}\n".encode()}


def version() -> str:
    """A local version: no registry takes one, so nobody else's package can pass for this."""
    digest = hashlib.sha256()
    for name, data in sorted(contents().items()):
        digest.update(name.encode() + b"\0" + data + b"\0")
    return f"1+{digest.hexdigest()[:12]}"


def wheel() -> Path:
    return FOLDER / f"{NAME}-{version()}-py3-none-any.whl"


def pack() -> Path:
    """Write the wheel, the same bytes for the same contents, remove earlier ones, and name it in uv.toml."""
    path, info = wheel(), f"{NAME}-{version()}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {NAME.replace('_', '-')}\nVersion: {version()}\n"
    tags = "Wheel-Version: 1.0\nGenerator: packaging/native.py\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = contents() | {f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": tags.encode()}
    record = "".join(f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    for earlier in FOLDER.glob("*.whl"):
        earlier.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    named = re.sub(r"mmcli-native-build==[^\"]*", f"mmcli-native-build=={version()}", SETTINGS.read_text("utf-8"))
    SETTINGS.write_text(named, "utf-8")
    return path


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def arguments() -> str:
    """CMAKE_ARGS for this machine."""
    path = ROOT / "mmcli" / "health" / "variants.py"
    spec = importlib.util.spec_from_file_location("variants", path)
    assert spec is not None and spec.loader is not None
    variants = sys.modules["variants"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(variants)
    return shlex.join(variants.here())


if __name__ == "__main__":
    print(pack().name if sys.argv[1:] == ["--pack"] else arguments())
