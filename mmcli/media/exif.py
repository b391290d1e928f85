"""What a camera or a person wrote into a picture's file: when, where, with what. Knows EXIF and IPTC, no pixels.

These are claims, not truths: a clock may be wrong, a name may be a joke. Whoever shows them to a model labels them.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, IptcImagePlugin
from PIL import Image as Pillow
from PIL.ImageFile import ImageFile

from mmcli.media import pillow

LONGEST = 100  # characters of one fact
_PLACE = ((2, 92), (2, 90), (2, 95), (2, 101))  # IPTC: sublocation, city, province, country
_PNG = b"\x89PNG\r\n\x1a\n"
_CAPTION = (2, 120)  # IPTC: Caption-Abstract
LONGEST_DESCRIPTION = 100_000  # characters


def read(data: bytes) -> dict[str, str]:
    """Date, place, position and camera, as far as they are there; a broken block gives nothing and no error."""
    with pillow.warnings_kept():
        try:
            if data[4:8] == b"ftyp":
                pillow.know_heif()
            picture = Pillow.open(io.BytesIO(data))
            exif = picture.getexif()
        except Exception:  # Pillow's plugins let anything fly; decoding will say what is wrong with the picture
            return {}
        found = {
            "date": _quietly(_date, exif),
            "place": _quietly(_place, picture),
            "position": _quietly(_position, exif),
            "camera": _quietly(_camera, exif),
        }
    return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class PictureFacts:
    """What a library can be searched by."""

    taken: str | None = None  # local time where the camera was: 2024-07-14T12:30:05
    lat: float | None = None  # degrees north
    lon: float | None = None  # degrees east
    camera: str | None = None
    place: str | None = None


def facts(data: bytes) -> PictureFacts:
    """The same as `read` for comparing; a broken block gives nothing and no error."""
    with pillow.warnings_kept():
        try:
            if data[4:8] == b"ftyp":
                pillow.know_heif()
            picture = Pillow.open(io.BytesIO(data))
            exif = picture.getexif()
        except Exception:  # as above
            return PictureFacts()
        lat, lon = _quietly_at(exif)
        place, camera = _quietly(_place, picture), _quietly(_camera, exif)
        return PictureFacts(_quietly(_taken, exif) or None, lat, lon, camera or None, place or None)


def _quietly_at(exif: Pillow.Exif) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees; None for both where they make no sense."""
    try:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        if not {1, 2, 3, 4} <= set(gps):
            return None, None
        lat, lon = (sum(float(part) / 60**i for i, part in enumerate(gps[tag])) for tag in (2, 4))
        lat, lon = lat * (-1 if _letter(gps[1]) == "S" else 1), lon * (-1 if _letter(gps[3]) == "W" else 1)
    except Exception:  # tags of the wrong type, zero denominators
        return None, None
    return (lat, lon) if abs(lat) <= 90 and abs(lon) <= 180 else (None, None)


def _taken(exif: Pillow.Exif) -> str:
    """`2024-05-03T14:22:07`"""
    ifd = exif.get_ifd(ExifTags.IFD.Exif)
    text = str(ifd.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime) or "")
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d(?::\d\d)?)", text)
    if match is None or match[1] == "0000":
        return ""
    return datetime.fromisoformat(f"{match[1]}-{match[2]}-{match[3]}T{match[4]}").isoformat()


def descriptions(data: bytes) -> tuple[bytes | None, list[str]]:
    """A picture's XMP packet, and what IPTC (Caption-Abstract) and EXIF (ImageDescription) say is to be seen.

    A broken block gives nothing and no error.
    """
    with pillow.warnings_kept():
        try:
            if data[4:8] == b"ftyp":
                pillow.know_heif()
            picture = Pillow.open(io.BytesIO(_without_pixels(data)))
            exif = picture.getexif()
        except Exception:  # as above
            return None, []
        texts = []
        for get, source in ((_caption, picture), (_description, exif)):
            with suppress(Exception):  # tags of the wrong type
                texts.append(get(source).replace("\0", " ").strip()[:LONGEST_DESCRIPTION])
    packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    if not isinstance(packet, bytes):  # where Pillow does not look; a packet stands as it is in any format
        start = data.find(b"<x:xmpmeta")
        end = data.find(b"</x:xmpmeta>", start)
        packet = data[start : end + len(b"</x:xmpmeta>")] if 0 <= start < end else None
    return packet and packet.strip(b"\0"), [text for text in texts if text]


def _without_pixels(data: bytes) -> bytes:
    """A PNG's texts and EXIF with one pixel: they may stand behind the pixels, so that Pillow decodes those first."""
    if not data.startswith(_PNG):
        return data
    kept, at = [_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))], len(_PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join((_PNG, *kept, _chunk(b"IDAT", zlib.compress(b"\0\0")), _chunk(b"IEND", b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _caption(picture: Any) -> str:
    found = IptcImagePlugin.getiptcinfo(picture)
    if found is None:  # as exiftool and ImageMagick put it into a PNG: a length, and hexadecimal digits
        words = str(picture.info.get("Raw profile type iptc", "")).split()
        block = bytes.fromhex("".join(words[2:]))
        start = block.find(b"\x1c\x02\x78")  # a data set of IPTC: mark, record, number, length (big-endian), text
        length = int.from_bytes(block[start + 3 : start + 5], "big")
        return _decoded(block[start + 5 : start + 5 + length]) if start >= 0 else ""
    value = found.get(_CAPTION, b"")
    return _decoded(bytes(value[0] if isinstance(value, list) else value))


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _description(exif: Any) -> str:
    value = exif.get(ExifTags.Base.ImageDescription) or ""
    try:
        return str(value).encode("latin-1").decode("utf-8")  # EXIF knows ASCII only, and everybody writes UTF-8
    except ValueError:
        return str(value)


def _quietly(get: Any, source: Any) -> str:
    try:
        return _tidy(get(source))
    except Exception:  # tags of the wrong type, zero denominators, texts in no known encoding
        return ""


def _tidy(value: object) -> str:
    """One printable line: what stands in a file may be anything."""
    text = "".join(char if char.isprintable() else " " for char in str(value or ""))
    return " ".join(text.split())[:LONGEST]


def _date(exif: Pillow.Exif) -> str:
    """`2024-05-03 14:22`"""
    ifd = exif.get_ifd(ExifTags.IFD.Exif)
    text = str(ifd.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime) or "")
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d)", text)
    return f"{match[1]}-{match[2]}-{match[3]} {match[4]}" if match and match[1] != "0000" else ""


def _camera(exif: Pillow.Exif) -> str:
    """`Canon EOS R5`: the maker is left out where the model's name begins with it."""
    make, model = (_tidy(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    return model if make and model.casefold().startswith(make.split()[0].casefold()) else f"{make} {model}"


def _position(exif: Pillow.Exif) -> str:
    """`52.5163 N, 13.3777 E`"""
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    if not {1, 2, 3, 4} <= set(gps):
        return ""
    latitude, longitude = (sum(float(part) / 60**i for i, part in enumerate(gps[tag])) for tag in (2, 4))
    return f"{latitude:.4f} {_letter(gps[1])}, {longitude:.4f} {_letter(gps[3])}"


def _letter(value: Any) -> str:
    letter = (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value))[:1].upper()
    return letter if letter in "NSEW" else ""


def _place(picture: Pillow.Image) -> str:
    """`Brandenburg Gate, Berlin, Germany`, where a person wrote it down (IPTC)."""
    assert isinstance(picture, ImageFile)
    info = IptcImagePlugin.getiptcinfo(picture) or {}
    parts = []
    for key in _PLACE:
        value = info.get(key)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, bytes):
            parts.append(_tidy(value.decode("utf-8", "replace")))
    return ", ".join(dict.fromkeys(part for part in parts if part))
