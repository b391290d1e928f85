"""How long the README's first command takes in a fresh clone, llama.cpp's compilation included.

    python -m tests.bench.install [REF …] [--keep FOLDER]

Each REF (HEAD alone, where none is named) is cloned into a folder of its own. Everything but llama.cpp is fetched
before the clock starts, into a cache of its own, so that what is measured is this machine and not its network. CPU
seconds are the compilers' too, and tell on a busy machine more than the clock does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import machine, run

ROOT = Path(__file__).parents[2]
FIRST = ["mmcli", "ask", "docs/pictures/shapes.png", "What is in this picture?", "-m", "starter"]
PACKAGE = "llama-cpp-python"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("refs", nargs="*", default=["HEAD"], help="commits or branches to compare")
    options.add_argument("--keep", type=Path, help="keep the clones and caches in this folder")
    given = options.parse_args()
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is not installed")
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        for number, ref in enumerate(given.refs):
            measure(uv, ref, (given.keep or Path(temporary)).resolve() / f"{number}-{ref.replace('/', '-')}")


def measure(uv: str, ref: str, folder: Path) -> None:
    """Clone `ref` into `folder`, run the first command there, and print what it took and what it left."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)], check=True)
    commit = subprocess.check_output(["git", "-C", str(ROOT), "rev-parse", ref], text=True).strip()
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", commit], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CMAKE_ARGS")}
    environment |= {"UV_CACHE_DIR": str(folder / "cache"), "UV_LINK_MODE": "copy"}
    environment |= {name: str(folder / "home") for name in ("MMCLI_DATA_DIR", "MMCLI_CACHE_DIR")}
    environment |= {"CCACHE_DISABLE": "1"}  # llama.cpp uses ccache where it finds one
    here = ["--directory", str(clone)]
    subprocess.run(
        [uv, "sync", *here, "--quiet", "--no-install-package", PACKAGE, "--no-binary-package", PACKAGE],
        env=environment,
        check=True,
    )
    took = run([uv, "run", *here, *FIRST], environment)
    packages = next((clone / ".venv").rglob("llama_cpp/__init__.py")).parents[1]
    installed = [Path(root, name) for root, _, names in os.walk(packages) for name in names]
    libraries = [
        path for path in installed if ".so" in path.name and path.name.startswith(("libggml", "libllama", "libmtmd"))
    ]
    size = sum(path.stat().st_size for path in libraries) / 1e6
    print(f"{ref} ({commit[:7]}): {took.seconds:.0f} s, {took.cpu:.0f} CPU seconds")
    print(f"  {size:.1f} MB in {len(libraries)} libraries")
    print(f"  it says: {took.out.strip()}")
    print(f"  {', '.join(sorted(path.name for path in libraries))}", flush=True)


if __name__ == "__main__":
    main()
