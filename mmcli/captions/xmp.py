"""XMP sidecars: a description put into one, beside everything that is in it already. Knows XML; writes no files.

The description is dc:description in the language x-default, which every photo program shows. Beside it, in a namespace
of our own, stand the model, the date and a digest of our words: so a reader can tell a machine wrote them, and mmcli
can tell when a person has changed them since. Tags become keywords, dc:subject, beside those a person gave; which of
them are ours stands in a list of our own, with the model and the date.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from mmcli.errors import InputError

X, RDF = "adobe:ns:meta/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC, XMP = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/xap/1.0/"
OURS = "https://mmcli.invalid/ns/caption/1.0/"  # a name, not an address
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_MODEL, _DATE, _DIGEST = f"{{{OURS}}}Model", f"{{{OURS}}}Date", f"{{{OURS}}}Digest"
_MACHINE = f"{{{OURS}}}MachineMade"
_SUBJECT, _LI = f"{{{DC}}}subject", f"{{{RDF}}}li"
_TAGS, _TAGS_MODEL, _TAGS_DATE = f"{{{OURS}}}MachineTags", f"{{{OURS}}}TagsModel", f"{{{OURS}}}TagsDate"
_PREFIXES = {"x": X, "rdf": RDF, "dc": DC, "xmp": XMP, "mmcli": OURS}
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="w"?>\n'


def with_description(before: bytes | None, text: str, *, model: str, date: str) -> bytes:
    """The sidecar `before` (None: a new one) with `text` as its description, marked as made by `model` at `date`.

    The same words by the same model leave it as it is. InputError where `before` is no XMP.
    """
    text = _xml_text(text)
    root = _parsed(before) if before else _new()
    main = next(_descriptions(root))
    if _said(root) == text and _own(root, _MODEL) == model and _own(root, _DIGEST) == _digest(text):
        assert before is not None
        return before
    for element in _descriptions(root):
        element.attrib.pop(f"{{{DC}}}description", None)
    _remove(root, main, (_MODEL, _DATE, _DIGEST, _MACHINE))
    _default(root, main).text = text
    for tag, value in ((_MACHINE, "True"), (_MODEL, model), (_DATE, date), (_DIGEST, _digest(text))):
        ET.SubElement(main, tag).text = _xml_text(value)
    return _written(root)


def with_tags(before: bytes | None, tags: Sequence[str], *, model: str, date: str) -> bytes:
    """The sidecar `before` (None: a new one) with `tags` among its keywords, in place of those an earlier run gave.

    A person's keywords stay. The same tags by the same model leave it as it is. InputError where `before` is no XMP.
    """
    root = _parsed(before) if before else _new()
    main = next(_descriptions(root))
    there, earlier = _items(root, _SUBJECT), _items(root, _TAGS)
    theirs = [word for word in there if word not in earlier]
    known = {word.casefold() for word in theirs}
    ours = [word for tag in tags if (word := _xml_text(tag)).casefold() not in known]
    if before and ours == earlier and set(ours) <= set(there) and _own(root, _TAGS_MODEL) == model:
        return before
    _remove(root, main, (_SUBJECT, _TAGS, _TAGS_MODEL, _TAGS_DATE))
    for tag, words in ((_SUBJECT, theirs + ours), (_TAGS, ours)):
        if words:
            bag = ET.SubElement(ET.SubElement(main, tag), f"{{{RDF}}}Bag")
            for word in words:
                ET.SubElement(bag, _LI).text = word
    for tag, value in ((_TAGS_MODEL, model), (_TAGS_DATE, date)):
        ET.SubElement(main, tag).text = _xml_text(value)
    return _written(root)


def has_lost_tags(data: bytes, *, shown: str) -> bool:
    """Whether somebody has taken a tag of ours away since: then it must not come back by itself."""
    root = _shown(data, shown)
    return not set(_items(root, _TAGS)) <= set(_items(root, _SUBJECT))


def is_human(data: bytes, *, shown: str) -> bool:
    """Whether the sidecar holds a description that mmcli did not write, or that somebody has changed since."""
    root = _shown(data, shown)
    said = _said(root)
    return bool(said and said.strip()) and _own(root, _DIGEST) != _digest(said or "")


def _digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:32]


def _new() -> ET.Element:
    root = ET.Element(f"{{{X}}}xmpmeta", {f"{{{X}}}xmptk": "mmcli"})
    rdf = ET.SubElement(root, f"{{{RDF}}}RDF")
    ET.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    return root


def _parsed(data: bytes) -> ET.Element:
    """The document; its prefixes are kept for writing. Documents that define entities are refused."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError("is no XMP that mmcli would change: it has a document type")
    try:
        for _, (prefix, uri) in ET.iterparse(io.BytesIO(data), events=("start-ns",)):
            if prefix and not re.fullmatch(r"ns\d+", prefix):
                ET.register_namespace(prefix, uri)
        root = ET.XML(data, ET.XMLParser(target=ET.TreeBuilder(insert_comments=True, insert_pis=True)))
    except (ET.ParseError, ValueError, LookupError) as error:
        raise InputError(f"is no XMP: {error}", hint="fix it, or move it away") from error
    if next(_descriptions(root), None) is None:
        ET.SubElement(_rdf(root), f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    return root


def _shown(data: bytes, shown: str) -> ET.Element:
    """The document; InputError names it as `shown`."""
    try:
        return _parsed(data)
    except InputError as error:
        raise InputError(f"{shown} {error.message}") from error


def _remove(root: ET.Element, main: ET.Element, tags: Sequence[str]) -> None:
    """Take properties out, in either form, and what held nothing else."""
    for element in list(_descriptions(root)):
        for tag in tags:
            element.attrib.pop(tag, None)
            for child in element.findall(tag):
                element.remove(child)
        if element is not main and len(element) == 0 and set(element.keys()) <= {f"{{{RDF}}}about"}:
            _rdf(root).remove(element)


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
        raise InputError("is no XMP: it has no rdf:RDF", hint="fix it, or move it away")
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


def _written(root: ET.Element) -> bytes:
    for prefix, uri in _PREFIXES.items():
        ET.register_namespace(prefix, uri)
    ET.indent(root, " ")
    return (_HEAD + ET.tostring(root, encoding="unicode") + _TAIL).encode()
