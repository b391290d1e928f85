"""Fetching from the Hugging Face Hub into its own cache. The only file that knows huggingface_hub; knows no models.

What is missing is streamed into a part file beside the cache's blobs: huggingface_hub itself starts anew after an
interruption, and compares sizes only. The part goes on where it stopped, is hashed while it arrives, and becomes a
blob under the Hub's own lock.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from mmcli import hubenv, network, offline
from mmcli.errors import MmcliError, ModelError, NetworkError, ResourceError
from mmcli.models import cache, gguf, hub_errors, sizes

OnProgress: TypeAlias = Callable[[str, int, int], None]
T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before each new try; a try that brought bytes starts over
LONGEST_WAIT = 60.0  # seconds: a Hub that asks for more patience is reported to the user instead
TIMEOUT = 15.0  # seconds without an answer, or without one more byte, where HF_HUB_DOWNLOAD_TIMEOUT says nothing
TOTAL_SECONDS = 60.0  # for all of an answer that is not a file
MARGIN = 256 << 20  # bytes a download leaves free on the disk
HEADER_FIRST, HEADER_MOST = 64 << 10, 4 << 20  # bytes read of a file to see what it says about itself
HEADER_SECONDS = 20.0  # for all of it: whoever waits has not even been asked yet
PART = ".mmcli.incomplete"
BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class Remote:
    """One file as the Hub describes it: `sha256` where the Hub keeps one (for all large files)."""

    repo: str
    revision: str  # as asked for: a commit, or main
    commit: str
    file: str
    bytes: int
    etag: str

    @property
    def sha256(self) -> str | None:
        return self.etag if re.fullmatch(r"[0-9a-f]{64}", self.etag) else None

    @property
    def is_in_git(self) -> bool:
        """Small files are in Git itself, under the hash that Git gives them."""
        return re.fullmatch(r"[0-9a-f]{40}", self.etag) is not None

    def digest(self) -> hashlib._Hash:
        """What makes the `etag` of the file's bytes."""
        if self.is_in_git:
            return hashlib.sha1(b"blob %d\0" % self.bytes, usedforsecurity=False)
        return hashlib.sha256()


@dataclass(frozen=True)
class RepoListing:
    """What a repository holds."""

    commit: str
    files: tuple[str, ...]
    licence: str | None


# 1 · what the Hub has


def listing(repo: str, revision: str = "main") -> RepoListing:
    """The names of a repository's files."""
    hub = _hub()

    def ask() -> RepoListing:
        api, token = hub.HfApi(), hub_errors.token(hub)
        info = _in_time(lambda: api.model_info(repo, revision=revision, timeout=_timeout(), token=token))
        names = tuple(sibling.rfilename for sibling in info.siblings or ())
        card: Any = info.card_data or {}
        licence = card.get("license_name") or card.get("license")
        assert info.sha, f"{repo} has no commit"
        return RepoListing(info.sha, names, licence if isinstance(licence, str) else None)

    return _patiently(ask, repo)


def describe(repo: str, revision: str, file: str) -> Remote:
    """Size and hash of one file."""
    if file.startswith("/") or "\\" in file or {"..", "."} & set(file.split("/")):
        raise NetworkError(f"`{repo}` holds a file with an impossible name: `{file}`", hint="do not trust it")
    hub = _hub()

    def ask() -> Remote:
        url = hub.hf_hub_url(repo, file, revision=revision)
        told = _in_time(lambda: hub.get_hf_file_metadata(url, token=hub_errors.token(hub), timeout=_timeout()))
        if not (told.etag and told.commit_hash and told.size):
            raise NetworkError(f"the Hub does not say how large `{file}` of `{repo}` is", hint="try again later")
        # They become paths in the cache, and HF_ENDPOINT may name anybody's server.
        if not (re.fullmatch(r"\w[\w-]*", told.etag) and re.fullmatch(r"[0-9a-f]{40}", told.commit_hash)):
            raise NetworkError(f"the Hub's answer about `{file}` of `{repo}` makes no sense", hint="check HF_ENDPOINT")
        return Remote(repo, revision, told.commit_hash, file, told.size, told.etag)

    return _patiently(ask, repo, file)


def header(remote: Remote) -> gguf.Header | None:
    """What a GGUF on the Hub says about itself, read without fetching it: at most HEADER_MOST bytes, in ranges.

    None where the Hub sends no ranges, or where the file says nothing within these bytes: then its size must do. What
    goes wrong here is not told: the download, which is checked, will.
    """
    hub, data = _hub(), b""
    wanted, deadline = HEADER_FIRST, time.monotonic() + HEADER_SECONDS
    try:
        while len(data) < min(wanted, remote.bytes):
            more = _range(hub, remote, len(data), min(wanted, remote.bytes), deadline)
            if not more:
                return None
            data += more
            if found := gguf.read_beginning(data, remote.file):
                return found
            wanted = min(4 * wanted, HEADER_MOST)
    except (ModelError, OSError):
        return None
    except _transient():
        return None
    return None


def _range(hub: Any, remote: Remote, start: int, end: int, deadline: float) -> bytes:
    """The bytes of a file from `start` up to `end`; empty where the server would send others, or takes too long."""
    request = {"Range": f"bytes={start}-{end - 1}"}
    with _opened(hub, remote, request, max(deadline - time.monotonic(), 0.1)) as response:
        if response.status_code != 206:
            return b""  # leaving closes the stream: a server without ranges has begun to send the whole file
        data: bytes = b""
        for block in response.iter_bytes():
            data += block
            if len(data) >= end - start:
                return data[: end - start]
            if time.monotonic() > deadline:
                break
        return b""


@contextmanager
def _opened(hub: Any, remote: Remote, request: dict[str, str], seconds: float | None = None) -> Iterator[Any]:
    """The answer to a request for a file, after the redirects the Hub sends for large ones; its body is yet to come."""
    url = hub.hf_hub_url(remote.repo, remote.file, revision=remote.commit)
    headers = {**hub.utils.build_hf_headers(token=hub_errors.token(hub)), "Accept-Encoding": "identity", **request}
    session = hub.utils.get_session()
    asked = session.build_request("GET", url, headers=headers, timeout=_timeout())
    response = _in_time(lambda: session.send(asked, stream=True, follow_redirects=True), seconds)
    try:
        if response.status_code >= 400:
            _in_time(response.read)
        hub.utils.hf_raise_for_status(response)
        yield response
    finally:
        response.close()


def _in_time(ask: Callable[[], T], seconds: float | None = None) -> T:
    """What the Hub answers, but for the body of a file, in a time that a trickling answer cannot stretch."""
    return network.within(seconds or TOTAL_SECONDS, lambda connections: ask())


def _timeout() -> float:
    """Seconds without an answer, or without one more byte."""
    return hubenv.seconds("HF_HUB_DOWNLOAD_TIMEOUT", TIMEOUT)


# 2 · fetching


def missing_bytes(remote: Remote) -> int:
    """What is left to fetch of a file, after what an earlier try left."""
    if _blob(remote).is_file():
        return 0
    try:
        return remote.bytes - min(_part(remote).stat().st_size, remote.bytes)
    except OSError:
        return remote.bytes


def free_disk() -> int:
    """Bytes that are free on the disk of the Hub's cache."""
    place = cache.root()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def check_disk(n_bytes: int) -> None:
    """ResourceError unless the cache's disk takes that much more."""
    free = free_disk()
    if n_bytes and n_bytes + MARGIN > free:
        raise ResourceError(
            f"the download takes {sizes.words(n_bytes)}, but the disk of `{cache.root()}` has {sizes.words(free)} free",
            hint="free some space, or set HF_HOME to a folder on another disk",
        )


def fetch(remote: Remote, on_progress: OnProgress | None = None) -> Path:
    """Bring one file into the cache, whole and verified; return its path."""
    report = _Report(f"download {Path(remote.file).name}", remote.bytes, on_progress)
    hub = _hub()
    try:
        _remove_if_damaged(remote)
        if not _blob(remote).is_file():
            if on_progress is not None:
                on_progress("waiting for another download of the same file", 0, 0)  # shown only if it takes a while
            with _lock(remote):
                if not _blob(remote).is_file():  # another process may have brought it meanwhile
                    _download(remote, report)
                    os.replace(_part(remote), _blob(remote))
        report(remote.bytes)
        return Path(
            _patiently(
                lambda: hub.hf_hub_download(remote.repo, remote.file, revision=remote.revision),
                remote.repo,
                remote.file,
            )
        )
    except OSError as error:  # what the network does has become NetworkError by now
        if isinstance(error, BrokenPipeError):
            raise
        raise hub_errors.unwritable(error) from error


def _download(remote: Remote, report: _Report) -> None:
    """Fill the part file, from where an earlier try stopped; it is removed where it is not what the Hub describes."""
    part = _part(remote)
    digest = remote.digest()
    with part.open("a+b") as out:
        out.seek(0)
        done = 0
        while kept := out.read(BLOCK):
            digest.update(kept)
            done += len(kept)
            report.checked(done)
        if done > remote.bytes:
            out.truncate(0)
            done, digest = 0, remote.digest()
        report(done)
        tries = 0
        while done < remote.bytes:
            try:
                for block in _stream(remote, done):
                    if block is None:  # the server starts anew
                        out.truncate(0)
                        done, digest = 0, remote.digest()
                        continue
                    out.write(block)
                    digest.update(block)
                    done += len(block)
                    tries = 0
                    report(done)
                    if done > remote.bytes:
                        break
            except _transient() as error:
                if not _wait(tries, error):
                    raise hub_errors.explain(error, remote.repo, remote.file) from error
                tries += 1
                continue
            except Exception as error:
                raise hub_errors.explain(error, remote.repo, remote.file) from error
            if done < remote.bytes:  # a connection that was closed in good order, too early
                if tries >= len(WAITS):
                    raise NetworkError(
                        f"`{remote.file}` of `{remote.repo}` keeps ending too early", hint=hub_errors.again(remote.repo)
                    )
                time.sleep(WAITS[tries])
                tries += 1
    is_hashed = remote.is_in_git or remote.sha256
    if done != remote.bytes or (is_hashed and digest.hexdigest() != remote.etag):
        part.unlink(missing_ok=True)
        kind = "Git hash" if remote.is_in_git else "SHA-256"
        raise NetworkError(
            f"`{remote.file}` of `{remote.repo}` arrived damaged, and was removed: its {kind} is not the Hub's",
            hint="download it again; if that does not help, something between here and the Hub changes files",
        )


def _stream(remote: Remote, start: int) -> Iterator[bytes | None]:
    """The file's bytes from `start` on; None first where the server will not start there."""
    with _opened(_hub(), remote, {"Range": f"bytes={start}-"} if start else {}) as response:
        if start and response.status_code != 206:
            yield None
        yield from response.iter_bytes()  # as they come: a full block would be lost with the connection


class _Report:
    """Progress that never goes backwards, not even when a server makes us start anew."""

    def __init__(self, phase: str, total: int, on_progress: OnProgress | None) -> None:
        self._phase, self._total, self._to, self._most = phase, total, on_progress, 0

    def __call__(self, done: int) -> None:
        self._most = max(self._most, min(done, self._total))
        if self._to is not None:
            self._to(self._phase, self._most, self._total)

    def checked(self, done: int) -> None:
        """What an earlier try left is hashed first: gigabytes take seconds."""
        if self._to is not None:
            self._to("checking the earlier download", done, self._total)


def _blob(remote: Remote) -> Path:
    return cache.folder(remote.repo) / "blobs" / remote.etag


def _part(remote: Remote) -> Path:
    return cache.folder(remote.repo) / "blobs" / f"{remote.etag}{PART}"


@contextmanager
def _lock(remote: Remote) -> Iterator[None]:
    """The lock huggingface_hub itself takes for this blob: no two programs fetch it at once."""
    path = cache.root() / ".locks" / cache.folder(remote.repo).name / f"{remote.etag}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    _blob(remote).parent.mkdir(parents=True, exist_ok=True)
    with _hub().utils.WeakFileLock(path):
        yield


def _remove_if_damaged(remote: Remote) -> None:
    """A blob of another size than its own is what a full disk or another program left."""
    blob = _blob(remote)
    pointer = cache.folder(remote.repo) / "snapshots" / remote.commit / remote.file
    for path in (pointer, blob):
        if path.is_file() and path.stat().st_size != remote.bytes:
            path.unlink()
    # huggingface_hub keeps a link that is there. A Hub may have other bytes under the same commit, though none should.
    if pointer.is_symlink() and os.path.basename(os.readlink(pointer)) != remote.etag:
        pointer.unlink()


def discard(remote: Remote) -> None:
    """Remove a file from the cache that was fetched and is not wanted after all."""
    for path in (cache.folder(remote.repo) / "snapshots" / remote.commit / remote.file, _blob(remote)):
        path.unlink(missing_ok=True)


# 3 · what can go wrong


def _hub() -> Any:
    """huggingface_hub, for who needs a connection."""
    if offline.is_on():
        raise offline.refusal("cannot ask the Hub")
    hub = library()
    hubenv.check()
    network.check_variables()
    hub_errors.token(hub)
    return hub


def library() -> Any:
    """huggingface_hub, set to send no statistics; importing it takes 0.3 s."""
    hubenv.prepare()
    import huggingface_hub.utils

    return huggingface_hub


def _transient() -> tuple[type[Exception], ...]:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    return (httpx2.TransportError, HfHubHTTPError, network.TooSlow)


def _patiently(ask: Callable[[], T], repo: str, file: str | None = None) -> T:
    """Ask the Hub, again after a pause where the failure may pass; its errors become ours."""
    tries = 0
    while True:
        try:
            return ask()
        except MmcliError:
            raise
        except _transient() as error:
            # Who cannot be reached at all will hardly be so in ten seconds: a user without a network need not wait.
            unreachable = getattr(error, "response", None) is None
            if (unreachable and tries) or not _wait(tries, error):
                raise hub_errors.explain(error, repo, file) from error
            tries += 1
        except Exception as error:
            raise hub_errors.explain(error, repo, file) from error


def _wait(tries: int, error: Exception) -> bool:
    """Pause before another try; False where another try is of no use."""
    response = getattr(error, "response", None)
    if isinstance(error, network.TooSlow):  # that was a minute already
        return False
    if response is not None and response.status_code not in (408, 429, 500, 502, 503, 504):
        return False
    if tries >= len(WAITS):
        return False
    wait = WAITS[tries]
    if response is not None:
        asked = response.headers.get("Retry-After", "")
        wait = max(wait, float(asked)) if asked.isdigit() else wait
    if wait > LONGEST_WAIT:
        return False
    time.sleep(wait)
    return True
