"""Writes a description into an XMP sidecar, and keeps everything else in it. Knows XML; writes no files.

The description is dc:description in the language x-default, which every photo program shows. Beside it, in a namespace
of our own, stand the model, the date and a digest of our words: so a reader can tell a machine wrote them, and mmcli
can tell when a person has changed them since. Tags become keywords, dc:subject, beside those a person gave; which of
them are ours stands in a list of our own, with the model and the date.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from mmcli.errors import InputError

X, RDF = "adobe:ns:meta/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC, XMP = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/xap/1.0/"
OURS = "https://mmcli.invalid/ns/caption/1.0/"  # a name, not an address
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_MODEL, _DATE, _DIGEST = f"{{{OURS}}}Model", f"{{{OURS}}}Date", f"{{{OURS}}}Digest"
_MACHINE, _CUT = f"{{{OURS}}}MachineMade", f"{{{OURS}}}Cut"
_SUBJECT, _LI = f"{{{DC}}}subject", f"{{{RDF}}}li"
_TAGS, _TAGS_MODEL, _TAGS_DATE = f"{{{OURS}}}MachineTags", f"{{{OURS}}}TagsModel", f"{{{OURS}}}TagsDate"
_TAGS_CUT = f"{{{OURS}}}TagsCut"
_PREFIXES = {"x": X, "rdf": RDF, "dc": DC, "xmp": XMP, "mmcli": OURS}
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="w"?>\n'
DEEPEST = 100  # elements inside each other; photo programs nest some 15, and walking a tree is recursion
MOST_PREFIXES = 500  # namespaces of one document; of all documents together, five times as many keep their prefixes
_HINT = "move it away, or repair it"
_registry = threading.Lock()  # held while ElementTree's table of prefixes, one for all threads, is ours


def with_description(before: bytes | None, text: str, *, model: str, date: str, cut: bool = False) -> bytes:
    """The sidecar `before` (None: a new one) with `text` as its description, marked as made by `model` at `date`.

    `cut`: it is also marked as not whole.

    The same words by the same model leave it as it is. InputError where `before` is no XMP.
    """
    text = _xml_text(text)
    root, prefixes = _parsed(before) if before else (_new(), {})
    main = next(_descriptions(root))
    is_same = _said(root) == text and _own(root, _MODEL) == model and _own(root, _DIGEST) == _digest(text)
    if is_same and bool(_own(root, _CUT)) == cut:
        assert before is not None
        return before
    for element in _descriptions(root):
        element.attrib.pop(f"{{{DC}}}description", None)
    _remove(root, main, (_MODEL, _DATE, _DIGEST, _MACHINE, _CUT))
    _default(root, main).text = text
    marks = [(_MACHINE, "True"), (_MODEL, model), (_DATE, date), (_DIGEST, _digest(text))]
    for tag, value in marks + [(_CUT, "True")] * cut:
        ET.SubElement(main, tag).text = _xml_text(value)
    return _written(root, prefixes)


def with_tags(before: bytes | None, tags: Sequence[str], *, model: str, date: str, cut: bool = False) -> bytes:
    """The sidecar `before` (None: a new one) with `tags` among its keywords, in place of those an earlier run gave.

    `cut`: it is also marked that there would have been more.

    A person's keywords stay. The same tags by the same model leave it as it is. InputError where `before` is no XMP.
    """
    root, prefixes = _parsed(before) if before else (_new(), {})
    main = next(_descriptions(root))
    there, earlier = _items(root, _SUBJECT), _items(root, _TAGS)
    of_ours = set(earlier)
    theirs = [word for word in there if word not in of_ours]
    known = {word.casefold() for word in theirs}
    ours = [word for tag in tags if (word := _xml_text(tag)).casefold() not in known]
    is_same = ours == earlier and set(ours) <= set(there) and _own(root, _TAGS_MODEL) == model
    if before and is_same and bool(_own(root, _TAGS_CUT)) == cut:
        return before
    _remove(root, main, (_SUBJECT, _TAGS, _TAGS_MODEL, _TAGS_DATE, _TAGS_CUT))
    for tag, words in ((_SUBJECT, theirs + ours), (_TAGS, ours)):
        if words:
            bag = ET.SubElement(ET.SubElement(main, tag), f"{{{RDF}}}Bag")
            for word in words:
                ET.SubElement(bag, _LI).text = word
    for tag, value in [(_TAGS_MODEL, model), (_TAGS_DATE, date)] + [(_TAGS_CUT, "True")] * cut:
        ET.SubElement(main, tag).text = _xml_text(value)
    return _written(root, prefixes)


def tags(data: bytes) -> list[str]:
    """All keywords of an XMP; InputError where it is none."""
    return _items(_parsed(data)[0], _SUBJECT)


def machine_tags(data: bytes) -> list[str]:
    """Those of them that mmcli put there."""
    return _items(_parsed(data)[0], _TAGS)


def plain(text: str) -> str:
    """A description as XMP can hold it."""
    return _xml_text(text).strip()


def has_lost_tags(data: bytes, *, shown: str) -> bool:
    """Whether somebody has taken a tag of ours away since: then it must not come back by itself."""
    root = _shown(data, shown)
    return not set(_items(root, _TAGS)) <= set(_items(root, _SUBJECT))


def is_human(data: bytes, *, shown: str) -> bool:
    """Whether the sidecar holds a description that mmcli did not write, or that somebody has changed since."""
    said, is_ours = _said_by(_shown(data, shown))
    return bool(said) and not is_ours


def description(data: bytes) -> tuple[str, bool]:
    """What an XMP, of a sidecar or a picture, says is to be seen, and whether mmcli wrote it; "" where it says nothing.

    InputError where it is none.
    """
    return _said_by(_parsed(data)[0])


def _said_by(root: ET.Element) -> tuple[str, bool]:
    said = (_said(root) or "").strip()
    return said, _own(root, _DIGEST) == _digest(said)


def _digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:32]


def _new() -> ET.Element:
    root = ET.Element(f"{{{X}}}xmpmeta", {f"{{{X}}}xmptk": "mmcli"})
    rdf = ET.SubElement(root, f"{{{RDF}}}RDF")
    ET.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    return root


class _Builder(ET.TreeBuilder):
    """Keeps comments, and refuses what could take for ever: entities, and elements nested very deep."""

    def __init__(self) -> None:
        super().__init__(insert_comments=True, insert_pis=True)
        self._depth = 0
        self.prefixes: dict[str, str] = {}

    def doctype(self, *_: str | None) -> None:
        raise InputError("is not XMP that mmcli can change: it has a document type")

    def start_ns(self, prefix: str, uri: str) -> None:
        self.prefixes[prefix] = uri
        if len(self.prefixes) > MOST_PREFIXES:
            raise InputError(f"is not XMP that mmcli can change: it has more than {MOST_PREFIXES} namespaces")

    def start(self, tag: str, attributes: dict[str, str], /) -> ET.Element:
        self._depth += 1
        if self._depth > DEEPEST:
            raise InputError(f"is not XMP that mmcli can change: its elements are nested more than {DEEPEST} deep")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)


def _parsed(data: bytes) -> tuple[ET.Element, dict[str, str]]:
    """The document, and the prefixes of its namespaces, to be written with. InputError where it is no XMP."""
    builder = _Builder()
    try:
        root: ET.Element = ET.XML(data, ET.XMLParser(target=builder))
    except (ET.ParseError, ValueError, LookupError) as error:
        raise InputError(f"is not valid XMP: {error}", hint=_HINT) from error
    if next(_descriptions(root), None) is None:
        ET.SubElement(_rdf(root), f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    return root, builder.prefixes


def _shown(data: bytes, shown: str) -> ET.Element:
    """The document; InputError names it as `shown`."""
    try:
        return _parsed(data)[0]
    except InputError as error:
        raise InputError(f"{shown} {error.message}", hint=error.hint) from error


def _remove(root: ET.Element, main: ET.Element, tags: Sequence[str]) -> None:
    """Take properties out, in either form, and what held nothing else."""
    empty = set()
    for element in _descriptions(root):
        for tag in tags:
            element.attrib.pop(tag, None)
            for child in element.findall(tag):
                element.remove(child)
        if element is not main and len(element) == 0 and set(element.keys()) <= {f"{{{RDF}}}about"}:
            empty.add(element)
    _rdf(root)[:] = [element for element in _rdf(root) if element not in empty]


def _items(root: ET.Element, tag: str) -> list[str]:
    """The words of a list, from wherever it stands; also of one in a form it should not have."""
    words: list[str | None] = []
    for element in _descriptions(root):
        words.append(element.get(tag))
        for child in element.findall(tag):
            words += [item.text for item in child.iter(_LI)] or [child.text]
    return [word.strip() for word in words if word and word.strip()]


def _descriptions(root: ET.Element) -> Iterator[ET.Element]:
    """The rdf:Description elements that hold the picture's properties (there are others, deeper, in structures)."""
    yield from _rdf(root).findall(f"{{{RDF}}}Description")


def _rdf(root: ET.Element) -> ET.Element:
    found = root if root.tag == f"{{{RDF}}}RDF" else root.find(f"{{{RDF}}}RDF")
    if found is None:
        raise InputError("is not valid XMP: it has no rdf:RDF", hint=_HINT)
    return found


def _alternatives(root: ET.Element) -> ET.Element | None:
    return next(
        (
            alternatives
            for element in _descriptions(root)
            for alternatives in element.findall(f"{{{DC}}}description/{{{RDF}}}Alt")
        ),
        None,
    )


def _said(root: ET.Element) -> str | None:
    """The description a photo program shows: x-default, or the first there is, or one in a form it should not have."""
    alternatives = _alternatives(root)
    if alternatives is not None:
        items = alternatives.findall(f"{{{RDF}}}li")
        default = [item for item in items if item.get(LANG) == "x-default"]
        chosen = next((item for item in default + items if item.text), None)
        return None if chosen is None else chosen.text
    for element in _descriptions(root):
        bare = element.find(f"{{{DC}}}description")
        text = element.get(f"{{{DC}}}description") or (None if bare is None else "".join(bare.itertext()))
        if text:
            return text
    return None


def _default(root: ET.Element, main: ET.Element) -> ET.Element:
    """The x-default item, made if need be; other languages stay, and x-default comes first as XMP wants it."""
    alternatives = _alternatives(root)
    if alternatives is None:
        for element in _descriptions(root):
            for bare in element.findall(f"{{{DC}}}description"):
                element.remove(bare)
        alternatives = ET.SubElement(ET.SubElement(main, f"{{{DC}}}description"), f"{{{RDF}}}Alt")
    for item in alternatives.findall(f"{{{RDF}}}li"):
        if item.get(LANG) == "x-default":
            return item
    item = ET.Element(f"{{{RDF}}}li", {LANG: "x-default"})
    alternatives.insert(0, item)
    return item


def _own(root: ET.Element, tag: str) -> str | None:
    """A property of ours, in either of the two forms RDF knows: other programs rewrite the one as the other."""
    for element in _descriptions(root):
        child = element.find(tag)
        value = element.get(tag) or (None if child is None else child.text)
        if value:
            return value
    return None


def _xml_text(text: str) -> str:
    """Without what XML cannot hold at all."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


_registered: set[str] = set()  # prefixes of other people's namespaces


def _written(root: ET.Element, prefixes: dict[str, str]) -> bytes:
    """The document with its own prefixes, as far as ElementTree takes them."""
    ET.indent(root, " ")
    with _registry:
        for prefix, uri in prefixes.items():
            is_known = prefix in _registered or len(_registered) < 5 * MOST_PREFIXES
            if prefix and is_known and not re.fullmatch(r"ns\d+", prefix):
                _registered.add(prefix)
                ET.register_namespace(prefix, uri)
        for prefix, uri in _PREFIXES.items():
            ET.register_namespace(prefix, uri)
        text: str = ET.tostring(root, encoding="unicode")
    return (_HEAD + text + _TAIL).encode()
