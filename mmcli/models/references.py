"""A model requested from the Hub, and its files once they are here. Knows names; makes no connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmcli.errors import ModelError
from mmcli.models import gguf
from mmcli.models.catalogue import NO_ADVICE, Entry, File
from mmcli.models.embedding import EmbeddingEntry
from mmcli.models.model import Model, open_files, speaks_only
from mmcli.models.speech import SpeechEntry


@dataclass(frozen=True)
class WantedModel:
    """A model on the Hub that is not, or not whole, on this machine."""

    name: str  # as it is called on the command line
    repo: str
    revision: str = "main"
    choice: str | None = None  # quantization or file, where the user chose one
    entry: Entry | None = None  # what the catalogue knows of it
    mmproj: Path | None = None  # the user's own projector

    @property
    def hears(self) -> bool:
        """Whether it may hear: of a model that the catalogue does not know, its files will say."""
        return self.entry is None or self.mmproj is not None or self.entry.hears

    @property
    def may_speak(self) -> bool:
        """Whether it may speak: of a model that the catalogue does not know, its files will say."""
        return self.entry is None or self.entry.speaks

    def require(self, *, sight: bool, hearing: bool) -> None:
        """ModelError where it is known before any download that the model cannot take what is asked of it."""
        if self.entry is None or self.mmproj is not None:
            return
        if self.entry.speaks:
            raise speaks_only(self.name)
        for wanted, able, verb in ((sight, self.entry.sees, "see"), (hearing, self.entry.hears, "hear")):
            if wanted and not able:
                raise ModelError(f"`{self.name}` cannot {verb}", hint="`mmcli models` lists what each model can do")

    def opened(self, weights: Path, projector: Path | None) -> Model:
        """The model in these files of the Hub's cache; ModelError as open_files."""
        advice, advised = (self.entry.advice, self.entry.context) if self.entry else (NO_ADVICE, None)
        try:
            return open_files(self.name, weights, self.mmproj or projector, advice, advised)
        except gguf.Damaged as error:
            again = f"`mmcli rm {self.name}`, then `mmcli pull {self.name}`, downloads it again"
            raise ModelError(error.message, hint=again) from error


@dataclass(frozen=True)
class WantedSpeech:
    """A speech model on the Hub that is not, or not whole, on this machine."""

    name: str  # as it is called on the command line
    repo: str
    revision: str = "main"
    entry: SpeechEntry | None = None  # what the catalogue knows of it


@dataclass(frozen=True)
class WantedEmbedding:
    """An embedding model on the Hub that is not, or not whole, on this machine."""

    name: str  # as it is called on the command line
    repo: str
    revision: str = "main"
    entry: EmbeddingEntry | None = None  # what the catalogue knows of it


def files_of(entry: Entry, *, weights_only: bool) -> tuple[File, ...]:
    """The files that are wanted of an entry: not its projector, where the user has one."""
    return tuple(file for file in entry.files if not (weights_only and file is entry.projector))
