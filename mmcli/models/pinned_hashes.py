"""Records the hash of each downloaded file that the catalogue does not pin, and notices when it changes.

The catalogue pins most files by their SHA-256. For the others (`ORG/REPO`, and entries that leave sizes or hashes out)
the Hub's own word is taken at the first fetch, and kept here: size, SHA-256 and commit. Whatever is fetched later
under the same repository, revision and name must be the same, until the user accepts that it changed.

The records are in fetched.json in mmcli's data folder. Makes no connection.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli import config, files
from mmcli.errors import NetworkError, ResourceError

if TYPE_CHECKING:
    from mmcli.models.hub import Remote

VERSION = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
PATIENCE = 30  # seconds for another process that writes: it takes milliseconds
BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class PinnedFile:
    """One file as it was when it first came."""

    repo: str
    revision: str  # as asked for: a commit, or main
    file: str
    bytes: int
    sha256: str
    etag: str  # the Hub's own name for these bytes: the SHA-256, or Git's hash of a small file
    commit: str
    fetched: str  # the day, as 2026-11-22

    @property
    def key(self) -> tuple[str, str, str]:
        return self.repo, self.revision, self.file


Records = dict[tuple[str, str, str], PinnedFile]


def file() -> Path:
    """Where the records are kept."""
    return config.data_dir() / "fetched.json"


def load() -> Records:
    """All records by repository, revision and file; none where there are none, or where the file is damaged."""
    try:
        return _parse(file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}


def find(repo: str, revision: str, name: str) -> PinnedFile | None:
    return load().get((repo, revision, name))


def damage() -> str | None:
    """What is wrong with the file, if it cannot be read as records."""
    try:
        _parse(file().read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return None


def set_aside() -> str | None:
    """Give a damaged file another name, so that a new one can begin; the sentence to report, if there was one."""
    if damage() is None:
        return None
    with _lock():
        return _set_aside()


def check(remote: Remote) -> str | None:
    """How a file on the Hub differs from its record, in words; None where it does not, or where there is none."""
    known = find(remote.repo, remote.revision, remote.file)
    if known is None:
        return None
    was = f"when it was first downloaded ({known.fetched}, commit {known.commit[:8]}) it had"
    if known.bytes != remote.bytes:
        return f"{was} {known.bytes} bytes, now it has {remote.bytes}"
    if remote.sha256 and remote.sha256 != known.sha256:
        return f"{was} the SHA-256 {known.sha256[:12]}…, now it has {remote.sha256[:12]}…"
    if remote.is_in_git and len(known.etag) == len(remote.etag) and known.etag != remote.etag:
        return f"{was} Git's hash {known.etag[:12]}…, now it has {remote.etag[:12]}…"
    return None


def check_bytes(remote: Remote, path: Path) -> str | None:
    """The same for a file that has come, where what the Hub says of it cannot be compared with its record."""
    known = find(remote.repo, remote.revision, remote.file)
    if known is None or remote.sha256 or remote.etag == known.etag or (sha256 := _sha256(path)) == known.sha256:
        return None
    return f"when it was first downloaded ({known.fetched}) it had the SHA-256 {known.sha256[:12]}…, not {sha256[:12]}…"


def changed(remote: Remote, how: str, name: str) -> NetworkError:
    """The error for a file that is no longer what it was; `name` is what `pull` takes to fetch it all the same."""
    return NetworkError(
        f"`{remote.file}` of `{remote.repo}` changed on the Hub: {how}",
        hint=f"if you trust what is there now: `mmcli pull {name} --accept-changed`",
    )


def keep(remote: Remote, path: Path, *, replace: bool = False) -> None:
    """Record a file that has just come, and was verified; one that has a record keeps it, unless `replace`."""
    known = find(remote.repo, remote.revision, remote.file)
    if known and not replace:
        return
    sha256 = remote.sha256 or _sha256(path)
    day = datetime.date.today().isoformat()
    fresh = PinnedFile(
        remote.repo, remote.revision, remote.file, remote.bytes, sha256, remote.etag, remote.commit, fetched=day
    )

    def add(records: Records) -> Records:
        # Another process may have been the first.
        return records if fresh.key in records and not replace else {**records, fresh.key: fresh}

    _change(add)


def forget(repo: str, revision: str, names: Iterable[str] | None = None) -> None:
    """Let go of what was recorded of these files; None: of all files of that revision."""
    known = load()
    wanted = known.keys() if names is None else {(repo, revision, name) for name in names}
    keys = {key for key in wanted if key in known and key[:2] == (repo, revision)}
    if keys:
        _change(lambda records: {key: record for key, record in records.items() if key not in keys})


def size(repo: str, revision: str, name: str, commit: str | None = None) -> int | None:
    """How many bytes the file had when it came, of that commit if one is named."""
    known = find(repo, revision, name)
    return known.bytes if known and commit in (None, known.commit) else None


def _change(how: Callable[[Records], Records]) -> None:
    """Replace the records by what `how` makes of them; no two processes do so at once."""
    with _lock():
        _set_aside()
        records = [asdict(record) for _, record in sorted(how(load()).items())]
        document = json.dumps({"version": VERSION, "files": records}, indent=1)
        files.write(file(), (document + "\n").encode(), mode=0o600)


def _set_aside() -> str | None:
    if (what := damage()) is None:
        return None
    number = 1
    while (aside := file().with_name(f"fetched-damaged-{number}.json")).exists():
        number += 1
    try:
        os.replace(file(), aside)
    except OSError as error:
        raise _unwritable(error) from error
    return (
        f"`{file()}` was damaged ({what}), and is now `{aside.name}` beside it: "
        "files downloaded before today can no longer be checked for changes"
    )


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    import filelock

    try:
        files.private_folder(file().parent)
        lock = filelock.FileLock(file().with_name("fetched.lock"), timeout=PATIENCE)
        with lock:
            yield
    except filelock.Timeout as error:
        raise ResourceError(f"`{lock.lock_file}` is held by another program", hint="try again") from error
    except OSError as error:
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> ResourceError:
    return ResourceError(
        f"cannot write `{file()}`: {error.strerror or error}", hint="set MMCLI_DATA_DIR to another folder"
    )


def _sha256(path: Path) -> str:
    """Of a file whose SHA-256 the Hub does not say: small ones, which it keeps in Git."""
    digest = hashlib.sha256()
    with path.open("rb") as data:
        while block := data.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _parse(data: bytes) -> Records:
    document: Any = json.loads(data)
    rows = document.get("files") if isinstance(document, dict) else None
    if not isinstance(rows, list) or document.get("version") != VERSION:
        raise ValueError("it is not a list of downloaded files")
    return {record.key: record for record in map(_row, rows)}


_KINDS = {name: int if name == "bytes" else str for name in PinnedFile.__dataclass_fields__}


def _row(row: Any) -> PinnedFile:
    if not isinstance(row, dict) or any(type(row.get(name)) is not kind for name, kind in _KINDS.items()):
        raise ValueError("an entry in it is incomplete")
    if not SHA256.fullmatch(row["sha256"]) or row["bytes"] < 0:
        raise ValueError("a file in it has no SHA-256 or size")
    return PinnedFile(**{name: row[name] for name in _KINDS})
