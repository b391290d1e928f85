"""Brings a library up to date with its roots: what is new is opened, embedded and stored, a batch at a time.

Three threads read and decode; the caller's embeds and writes. A batch is one transaction, so a run that is killed loses
what was not yet in one, and the next run goes on there.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mmcli.errors import InputError, MmcliError, ResourceError
from mmcli.library import scan
from mmcli.library.pieces import EVERY_SUFFIX, PieceMaker
from mmcli.library.records import IndexCounts, NewContent, OpenedFile, Root, Stat
from mmcli.library.remembered import StoredSpace
from mmcli.library.store import Library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.embed.protocol import Space

BATCH = 64  # pictures in one transaction
READERS = 3
AHEAD = 12  # files that are decoded and wait


@dataclass(frozen=True)
class _New:
    """A file to be opened."""

    root: Root
    path: bytes
    stat: Stat
    before: int | None  # the content that it had

    @property
    def full(self) -> bytes:
        return os.path.join(self.root.path, self.path) if self.path else self.root.path


@dataclass
class Indexing:
    """One run over some roots. `run` does it; `plan` says what it would do."""

    library: Library
    maker: PieceMaker
    space: Callable[[], Space]  # loaded when there is something to embed
    stored: Callable[[], StoredSpace]
    serving: StoredSpace | None  # by which known contents are complete; None: nothing was embedded yet
    retry: bool = False
    readers: int = READERS
    on_error: Callable[[MmcliError], None] = lambda error: None
    on_note: Callable[[str], None] = lambda text: None
    on_progress: Callable[[int, int, int], None] = lambda done, total, embedded: None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"files": 0, "new": 0, "moved": 0, "gone": 0, "failed": 0, "embedded": 0, "offline": 0}

    def plan(self, roots: list[Root]) -> IndexCounts:
        """What `run` would find, without opening or storing anything."""
        for root in roots:
            self._counts["new"] += len(self._look_at(root, store=False))
        return IndexCounts(**self._counts)

    def run(self, roots: list[Root]) -> IndexCounts:
        """Bring these roots up to date. Errors of single files go to `on_error`; others end it."""
        waiting: list[_New] = []
        for root in roots:
            waiting += self._look_at(root, store=True)
        if waiting:
            self._open_all(waiting)
        if not self.stop.is_set():
            self.library.purge()
            self.library.compact()
        return IndexCounts(**self._counts)

    # 1 · what is new

    def _look_at(self, root: Root, *, store: bool) -> list[_New]:
        """The files of a root that must be opened; what is gone is marked."""
        known = self.library.files_of(root)
        listing = scan.scan(root, EVERY_SUFFIX, self.on_note)
        here = {path for path, row in known.items() if row.state != "gone"}
        listing.files = {
            path: stat for path, stat in listing.files.items() if path in here or self.maker.is_wanted(path)
        }
        if scan.is_offline(root, listing, known):
            n = sum(row.state != "gone" for row in known.values())
            self._counts["offline"] += n
            self._counts["files"] += n
            self.on_note(f"`{os.fsdecode(root.path)}` is offline: kept {n} files")
            if store:
                self.library.offline(root)
            return []
        if not listing.is_there:
            self.on_error(InputError(f"no file or folder named `{os.fsdecode(root.path)}`"))
            return []
        gone = [row for path, row in scan.lost(listing, known)]
        self._counts["gone"] += len(gone)
        self._counts["files"] += len(listing.files)
        if store:
            self.library.lose([row.id for row in gone])
            self.library.scanned(root, listing.device)
        found = []
        for path, stat in listing.files.items():
            row = known.get(path)
            if path in here and not self.maker.is_wanted(path):
                continue  # it was taken in with other options, and stays
            if row is not None and row.stat == stat and row.state != "gone":
                if row.state == "here" and (row.content is None or not self._is_whole(row.content)):
                    found.append(_New(root, path, stat, row.content))
                elif row.state == "failed":
                    if self.retry:
                        found.append(_New(root, path, stat, None))
                    else:
                        self._failed(row.message or f"`{os.fsdecode(path)}` failed")
                continue
            found.append(_New(root, path, stat, row.content if row is not None and row.state != "gone" else None))
        return found

    def _is_whole(self, content: int) -> bool:
        if not hasattr(self, "_lacking"):
            self._lacking = self.library.lacking(self.serving, self.maker.wanted)
        return content not in self._lacking

    def _failed(self, message: str) -> None:
        self._counts["failed"] += 1
        self.on_error(InputError(message))

    # 2 · opening

    def _open_all(self, waiting: list[_New]) -> None:
        batch: list[OpenedFile] = []
        n_pictures = done = 0
        for new, opened in self._opened(waiting):
            batch.append(opened)
            content = opened.content
            if content is None:
                self._failed(opened.message or "")
            elif isinstance(content, NewContent):
                n_pictures += sum(piece.pixels is not None for piece in content.pieces)
                self._counts["new"] += new.before is None or not self._is_known(content.sha256)
            elif isinstance(content, int):
                self._count_known(new, content)
            done += 1
            if n_pictures >= BATCH or len(batch) >= 4 * BATCH:
                self._commit(batch)
                batch, n_pictures = [], 0
            self.on_progress(done, len(waiting), self._counts["embedded"] + n_pictures)
            if self.stop.is_set():
                break
        if batch:
            self._commit(batch)

    def _is_known(self, sha256: bytes) -> bool:
        with self._lock:
            return self.library.has_content(sha256)

    def _count_known(self, new: _New, content: int) -> None:
        """A file whose bytes the library has: it was moved, it is a copy, or it was only touched."""
        if new.before == content:
            return
        with self._lock:
            is_moved = self.library.forget_moved(content)
        self._counts["moved" if is_moved else "new"] += 1
        self._counts["gone"] -= is_moved

    def _opened(self, waiting: list[_New]) -> Iterator[tuple[_New, OpenedFile]]:
        """Each file's content, in order, while the next ones are read."""
        pool = ThreadPoolExecutor(self.readers, "reader")
        ahead: deque[tuple[_New, Future[OpenedFile]]] = deque()
        rest = iter(waiting)
        try:
            while True:
                while len(ahead) < AHEAD and (new := next(rest, None)) is not None:
                    ahead.append((new, pool.submit(self._open, new)))
                if not ahead:
                    return
                new, future = ahead.popleft()
                yield new, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _open(self, new: _New) -> OpenedFile:
        with self._lock:
            content = self.library.gone_like(new.stat) if new.before is None else None
            if content is not None and not self._is_whole(content):
                content = None
        if content is not None:
            return OpenedFile(new.root.id, new.path, new.stat, content)
        try:
            made = self.maker.open(new.full, self._known)
        except ResourceError:
            raise
        except MmcliError as error:
            return OpenedFile(new.root.id, new.path, new.stat, None, error.message)
        return OpenedFile(new.root.id, new.path, new.stat, made)

    def _known(self, sha256: bytes) -> int | None:
        with self._lock:
            return self.library.content_of(sha256, self.serving, self.maker.wanted)

    # 3 · embedding and storing

    def _commit(self, batch: list[OpenedFile]) -> None:
        batch = self._once(batch)
        pixels = [
            piece.pixels
            for opened in batch
            if isinstance(opened.content, NewContent)
            for piece in opened.content.pieces
            if piece.pixels is not None
        ]
        vectors: NDArray[np.float32] | None = None
        if pixels:
            space = self.space()
            blocks = [space.pictures(pixels[at : at + BATCH]) for at in range(0, len(pixels), BATCH)]
            vectors = np.concatenate(blocks)
            if self.serving is None:
                self.serving = self.stored()
        with self._lock:
            self.library.commit(batch, self.serving, vectors)
        self._counts["embedded"] += len(pixels)

    def _once(self, batch: list[OpenedFile]) -> list[OpenedFile]:
        """Copies within a batch, or of what came in meanwhile, get the same content and are embedded once."""
        seen: dict[bytes, NewContent] = {}
        found = []
        for opened in batch:
            content = opened.content
            if isinstance(content, NewContent):
                known = self._known(content.sha256)
                if known is not None:
                    opened = OpenedFile(opened.root, opened.path, opened.stat, known)
                elif content.sha256 in seen:
                    opened = OpenedFile(opened.root, opened.path, opened.stat, content.sha256)
                seen.setdefault(content.sha256, content)
            found.append(opened)
        return found
