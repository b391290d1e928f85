"""What some bytes are, told from the bytes alone. Knows no file names, opens nothing and decodes nothing."""

from __future__ import annotations

import codecs
import re

from mmcli.media import boxes

HEAD = 4096  # bytes, as many as `sniff` looks at

# What each kind is called in a sentence: "`a.mp3` is a sound, not a picture".
A_KIND = {
    "image": "a picture",
    "audio": "a sound",
    "text": "a text file",
    "video": "a video",
    "pdf": "a PDF document",
}

# Formats that say who they are in their first bytes. JPEG XL and EPS count, and are refused later.
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image"),  # JPEG
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"II*\0", "image"),  # TIFF, and most camera raws
    (b"MM\0*", "image"),
    (b"II+\0", "image"),  # BigTIFF
    (b"MM\0+", "image"),
    (b"8BPS", "image"),  # Photoshop
    (b"qoif", "image"),
    (b"DDS ", "image"),
    (b"icns", "image"),
    (b"SIMPLE  =", "image"),  # FITS
    (b"\x59\xa6\x6a\x95", "image"),  # Sun raster
    (b"\x01\xda", "image"),  # SGI
    (b"\xb1\x68\xde\x3a", "image"),  # DCX
    (b"BLP1", "image"),
    (b"BLP2", "image"),
    (b"FTEX", "image"),
    (b"\xff\x4f\xff\x51", "image"),  # JPEG 2000 codestream
    (b"\0\0\0\x0cjP  ", "image"),  # JPEG 2000
    (b"\0\0\0\x0cJXL ", "image"),
    (b"\xff\x0a", "image"),  # JPEG XL codestream
    (b"/* XPM */", "image"),
    (b"%!PS", "image"),
    (b"\xc5\xd0\xd3\xc6", "image"),  # EPS with a preview
    (b"FUJIFILMCCD-RAW", "image"),
    (b"IIRO", "image"),  # Olympus raw
    (b"IIRS", "image"),
    (b"MMOR", "image"),
    (b"IIU\0", "image"),  # Panasonic raw
    (b"FOVb", "image"),  # Sigma raw
    (b"\0MRM", "image"),  # Minolta raw
    (b"DanM", "image"),  # Windows Paint
    (b"LinS", "image"),
    (b"\x80\xe8\0\0", "image"),  # PIXAR
    (b"fLaC", "audio"),
    (b"ID3", "audio"),  # MP3 with a tag in front
    (b".snd", "audio"),
    (b"caff", "audio"),
    (b"#!AMR", "audio"),
    (b"wvpk", "audio"),
    (b"MAC ", "audio"),  # Monkey's Audio
    (b"TTA1", "audio"),
    (b"riff\x2e\x91\xcf\x11", "audio"),  # Wave64
    (b"MPCK", "audio"),  # Musepack, stream version 8
    (b"MP+\x07", "audio"),  # … and 7
    (b"MP+\x17", "audio"),
    (b"DSD \x1c\0\0\0", "audio"),  # DSF
    (b"Creative Voice File\x1a", "audio"),
    (b"NIST_1A\n", "audio"),  # of speech corpora
    (b"ajkg", "audio"),  # Shorten
    (b"\x7f\xfe\x80\x01", "audio"),  # DTS
    (b".RMF", "video"),  # RealMedia
    (b"\x0bw", "audio"),  # AC-3
    (b"\x1aE\xdf\xa3", "video"),  # Matroska, WebM
    (b"FLV\x01", "video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),  # ASF: WMV, WMA
    (b"\0\0\x01\xba", "video"),  # MPEG program stream
    (b"\0\0\x01\xb3", "video"),
)
_FORMS = {b"WEBP": "image", b"WAVE": "audio", b"AVI ": "video", b"AIFF": "audio", b"AIFC": "audio"}
_OLD_QUICKTIME = frozenset([b"moov", b"mdat", b"wide", b"pnot"])
_PNM = re.compile(rb"P[1-6FfYy]\s+(?:#[^\n]*\n\s*)*\d+\s")
_XBM = re.compile(rb"\s*#define\s+\S+_width\s+\d+")
_SVG = re.compile(rb"<(?:!doctype\s+svg|(?:\w+:)?svg)[\s>/]", re.I)
_WEB_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)[\s>]", re.I)
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"GGUF", "a model's weights"),
    (b"MThd", "a MIDI file, which holds notes, not sound"),
    (b"SQLite format 3\0", "an SQLite database"),
)


def sniff(head: bytes) -> str | None:
    """Tell the kind of a medium from its first bytes: "image", "audio", "video", "pdf", "text" or None.

    "video" is any container that may hold moving pictures; some of them hold nothing but sound.
    """
    head = head[:HEAD]
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return _FORMS.get(head[8:12])
    if head[:4] == b"FRM8" and head[12:16] == b"DSD ":
        return "audio"  # DSDIFF
    if head.startswith(b"OggS"):
        return "video" if b"\x80theora" in head else "audio"
    if head[4:8] == b"ftyp":
        return boxes.kind_of(head)
    if head[4:8] in _OLD_QUICKTIME and head[:1] == b"\0":
        return "video"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if _is_image_with_weak_magic(head):
        return "image"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "text" if head[2:4] != b"\0\0" else None  # FF FE is also how an MP3 could begin, but none does
    if _is_text(head):
        return "text"
    if _is_mpeg_audio(head):
        return "audio"
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return "video"  # MPEG transport stream: packets of 188 bytes
    return None


def is_svg(head: bytes) -> bool:
    return bool(_SVG.match(_first_tag(head[:HEAD])))


def is_web_page(head: bytes) -> bool:
    return bool(_WEB_PAGE.match(_first_tag(head[:HEAD])))


def is_lfs_pointer(head: bytes) -> bool:
    """Is this the note that Git LFS leaves where a file has not been downloaded?"""
    return head.startswith(b"version https://git-lfs.github.com/spec/")


def guess(head: bytes) -> str | None:
    """What bytes of an unknown format seem to be, for an error message: "a ZIP archive …"."""
    return next((words for start, words in _OTHERS if head.startswith(start)), None)


def _first_tag(head: bytes) -> bytes:
    """A markup text from its first tag on: without byte order mark, XML declaration and comments."""
    rest = head.removeprefix(codecs.BOM_UTF8).lstrip()
    while rest.startswith((b"<?", b"<!--")):
        _, _, rest = rest.partition(b"?>" if rest.startswith(b"<?") else b"-->")
        rest = rest.lstrip()
    return rest


def _is_image_with_weak_magic(head: bytes) -> bool:
    """Formats whose first two bytes may also begin a text: look at a second place as well."""
    if head.startswith(b"BM") and len(head) > 18:
        return head[14] in (12, 16, 40, 52, 56, 64, 108, 124) and head[15:18] == b"\0\0\0"
    if head[:4] in (b"\0\0\1\0", b"\0\0\2\0"):  # ICO, CUR
        return head[4:6] != b"\0\0" and len(head) >= 22
    if head[:1] == b"\n" and head[1:2] in (b"\0", b"\2", b"\3", b"\5") and head[2:3] in (b"\0", b"\1"):
        return True  # PCX
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf") and head[20:22] == b"\0\0" and head[14:16] in (b"\0\0", b"\3\0"):
        return True  # FLI, FLC
    if head[20:24] == b"GIMP" and head[4:8] == b"\0\0\0\2":
        return True  # a GIMP brush
    if head[6:14] == b"HEAPCCDR":
        return True  # Canon's first raw format
    return bool(_PNM.match(head) or _XBM.match(head)) or is_svg(head)


def _is_text(head: bytes) -> bool:
    """Mostly printable, no control characters. Not only UTF-8: a Latin-1 text earns a better error than "unknown"."""
    if not head:
        return False
    controls = sum(byte < 32 and byte not in b"\t\n\v\f\r\b\x1b" for byte in head)
    if controls:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # incremental: the head may end inside a character
        return True
    except UnicodeDecodeError:
        return sum(32 <= byte < 127 or byte in b"\t\n\r" for byte in head) >= 0.7 * len(head)


def _is_mpeg_audio(head: bytes) -> bool:
    """Does an MP1/2/3 or ADTS frame header begin here?"""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    layer = head[1] >> 1 & 3
    if layer == 0:
        return head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13  # ADTS: AAC
    return head[1] >> 3 & 3 != 1 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
