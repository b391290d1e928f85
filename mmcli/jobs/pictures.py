"""Decodes an input for a task that looks at one thing at a time: a picture, a page as a picture, a film as frames."""

from __future__ import annotations

from dataclasses import replace

from mmcli import media
from mmcli.errors import InputError
from mmcli.jobs.task import Kept, Picture
from mmcli.media.pages import PagedDocument


def load(
    source: media.Source,
    data: bytes,
    *,
    max_megapixels: float,
    pages: media.PagesWanted,
    film: media.FilmWanted | None = None,
) -> Picture | Kept:
    """The input whose bytes these are; Kept where it is a blank page. Films are taken where `film` is given."""
    source = media.Source(source.name, data=data, locator=source.locator)
    wanted = media.Wanted(pages=replace(pages, choice=None, at_once=0), film=film or media.FilmWanted())
    kinds = frozenset({"image", "pdf"} if film is None else {"image", "pdf", "video"})
    picture = media.load(source, kinds=kinds, max_megapixels=max_megapixels, wanted=wanted)
    if isinstance(picture, PagedDocument):
        return _page(picture, source)
    assert isinstance(picture, media.Image | media.Document)
    return picture


def _page(document: PagedDocument, source: media.Source) -> media.Image | Kept:
    if len(document.numbers) > 1:
        raise InputError(f"{source.shown} has {len(document.numbers)} pages", hint=f"name one: {source.name}#page=1")
    (number,) = document.numbers
    picture = document.book.page(number).medium
    return picture if isinstance(picture, media.Image) else Kept("the page is blank")
