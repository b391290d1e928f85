"""What the person named on the command line -> sources. Knows files and folders; opens and downloads nothing."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from mmcli.errors import InputError
from mmcli.media import folders, locator
from mmcli.media.locator import Locator
from mmcli.media.names import natural, quoted

RAW_SUFFIXES = frozenset(  # of cameras; most are a TIFF inside, and only the name tells
    ".dng .nef .nrw .cr2 .cr3 .crw .arw .sr2 .srf .raf .orf .rw2 .rwl .pef .srw .x3f .3fr .fff .iiq .erf .kdc .dcr "
    ".mrw .mef .mos .gpr".split()
)
IMAGE_SUFFIXES = RAW_SUFFIXES | frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .webp .heic .heif .heics .hif .avif .tif .tiff .bmp .dib .ico .icns .cur "
    ".jp2 .j2k .jpx .jpf .psd .tga .ppm .pgm .pbm .pnm .pfm .qoi .dds .sgi .pcx .dcx .xbm .xpm .mpo .fli .flc .msp "
    ".pxr .gbr".split()
)
AUDIO_SUFFIXES = frozenset(
    ".wav .mp3 .flac .ogg .oga .opus .m4a .m4b .aac .aif .aiff .aifc .wma .weba .mka .amr .au .caf .wv .ac3 .w64 .rf64 "
    ".mp2 .mpga .tta .ape .mpc .dsf .dff .dts .voc .sph .shn".split()
)
VIDEO_SUFFIXES = frozenset(".mp4 .mov .mkv .webm .avi .m4v .mpg .mpeg .ts .mts .m2ts .wmv .flv .3gp .ogv".split())
# Pictures with hardly a first byte of their own: the extension must name the format (Pillow's word for it).
UNMARKED_FORMATS = {
    ".tga": "TGA",
    ".icb": "TGA",
    ".vda": "TGA",
    ".vst": "TGA",
    ".pcd": "PCD",
    ".im": "IM",
    ".iim": "IPTC",
    ".dib": "DIB",
    ".gbr": "GBR",
}
# Told from a name only where a name is all there is: in a folder's listing, or to see that a question is a path.
PDF_SUFFIXES = frozenset({".pdf"})
_OTHER_MEDIA_SUFFIXES = frozenset(".pdf .svg .mp4 .mov .mkv .webm .avi .m4v".split())

_IN_FOLDERS = (("image", "pictures"), ("audio", "sounds"), ("video", "videos"), ("pdf", "PDFs"))

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://|(?P<data>data):")
# A host's name with a path behind it: `www.example.com/a.jpg`, `localhost:8000/a.jpg`.
_HOST = re.compile(r"(?P<host>(?:(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{2,}|localhost|127\.0\.0\.1)(?::\d+)?)/\S+", re.I | re.A)
_MAX_CANDIDATES = 5000  # names of a folder to compare with a mistyped one


@dataclass(frozen=True)
class Source:
    """One thing to load: exactly one of `path`, `url` and `data` is set."""

    name: str  # as the person named it; a URL without its user and password; "-" for stdin
    path: Path | None = None
    url: str | None = field(default=None, repr=False)  # may hold a password
    data: bytes | None = field(default=None, repr=False)
    within: Path | None = None  # the folder that was named, where walking it found this
    locator: Locator | None = None  # the part of it that is meant, which ends `name` as a fragment; None: all of it

    @property
    def shown(self) -> str:
        """The name as error messages put it, in backticks."""
        return "stdin" if self.name == "-" and self.path is None else quoted(self.name)

    @property
    def document(self) -> str:
        """The name of the whole, of which this may be a part: without the fragment."""
        return self.name.rpartition("#")[0] if self.locator is not None else self.name

    @property
    def suffix(self) -> str:
        """The extension in lower case, with its dot; "" if there is none."""
        try:
            name = urlsplit(self.url).path if self.url is not None else self.document
        except ValueError:  # no address, such as `http://[`: fetching it says so
            name = ""
        return os.path.splitext(name)[1].lower()


def find(
    arguments: Sequence[str],
    *,
    recursive: bool = False,
    stdin: bytes | None = None,
    kinds: frozenset[str] = frozenset({"image", "audio", "pdf"}),
    on_skipped: Callable[[str], None] | None = None,
) -> list[Source]:
    """Turn paths, quoted globs, folders, URLs and "-" into sources, in the order given.

    `kinds` chooses which files of a folder count; `on_skipped` hears in one sentence what a folder holds besides.
    Whatever does not exist, or leads to nothing, is an InputError.
    """
    return [source for argument in arguments for source in _find_one(argument, recursive, stdin, kinds, on_skipped)]


def each(
    argument: str,
    *,
    recursive: bool = False,
    kinds: frozenset[str] = frozenset({"image"}),
    on_error: Callable[[InputError], None] | None = None,
    on_skipped: Callable[[str], None] | None = None,
) -> Iterator[Source]:
    """What one argument but `-` leads to, as `find` does it; a folder is walked while its files are taken.

    Nothing but the names of one folder is in memory at a time. A link that leads nowhere is yielded too, so that
    reading it tells. `on_error` hears of sub-folders that cannot be listed; without it they are raised. `on_skipped`
    hears at the end what a folder holds besides, in one sentence.
    """
    path = None if _is_url(argument) or not argument.strip() else _whole(argument)
    if path is None or not os.path.isdir(path):
        yield from _find_one(argument, recursive, None, kinds, on_skipped)
        return
    n_found, skipped = 0, folders.Skipped()
    for name in folders.streamed(os.fspath(path), recursive, _suffixes(kinds), on_error, skipped):
        n_found += 1
        yield Source(os.path.join(argument, name), path / name, within=path)
    if not n_found:
        _folder(argument, path, recursive, kinds, None)  # raises, and says what is there instead
    _tell(skipped, argument, on_skipped)


def named(name: str) -> Source:
    """The source of a name as another program wrote it: taken letter by letter, or an address.

    Only a fragment behind the name of a file, such as `#xywh=10,10,200,80`, is not; UsageError where it is malformed.
    """
    if _is_url(name):
        return _address(name)
    parts = locator.split(name)
    if parts is None or os.path.lexists(name) or not os.path.lexists(parts[0]):
        return Source(name, Path(name))
    return Source(name, Path(parts[0]), locator=locator.parse(parts[1], name))


def looks_like_medium(argument: str) -> bool:
    """Does this question seem to be a file, so that the question itself is what's missing? Never used to load it."""
    if _is_url(argument):
        return True
    document = without_part(argument)
    return _looks_like_file(argument) or (document != argument and _looks_like_file(document))


def _looks_like_file(argument: str) -> bool:
    try:
        if os.path.isfile(os.path.expanduser(argument)):
            return True
        if os.path.isdir(os.path.expanduser(argument)):
            return argument in (".", "..", "~") or "/" in argument or os.sep in argument
    except ValueError:  # a NUL byte
        return False
    if _as_address(argument):
        return True
    suffix = os.path.splitext(argument)[1].lower()
    known = suffix in IMAGE_SUFFIXES | AUDIO_SUFFIXES | _OTHER_MEDIA_SUFFIXES
    return known and not any(char.isspace() for char in argument)


def nearest_here(argument: str) -> str | None:
    """The file whose name a mistyped one is likely to mean; None where none is near."""
    argument = without_part(argument)
    return _near(argument) if argument.strip() and "\0" not in argument else None


def part_of(argument: str) -> Locator | None:
    """The part of a file that an argument names; None where it means something whole. UsageError as `find` raises it.

    InputError where the file cannot be reached.
    """
    parts = locator.split(argument)
    if parts is None or (not _is_url(argument) and (_whole(argument) is not None or _matches(argument))):
        return None
    return locator.parse(parts[1], without_password(argument))


def without_part(argument: str) -> str:
    """An argument as far as it names a file: without a fragment of ours, whether or not there is such a file."""
    return (locator.split(argument) or (argument,))[0]


def has_media_suffix(path: Path) -> bool:
    """Whether a name is that of a picture, a sound or a video: none of these is ever written."""
    return path.suffix.lower() in IMAGE_SUFFIXES | AUDIO_SUFFIXES | _OTHER_MEDIA_SUFFIXES | VIDEO_SUFFIXES


def _find_one(
    argument: str,
    recursive: bool,
    stdin: bytes | None,
    kinds: frozenset[str],
    on_skipped: Callable[[str], None] | None,
) -> list[Source]:
    if argument == "-":
        return [_from_stdin(stdin)]
    if not argument.strip():
        raise InputError("an empty name was given where a file is expected", hint="is a shell variable unset?")
    if _is_url(argument):
        return [_address(argument)]
    path = _whole(argument)
    if path is None:
        if (parts := locator.split(argument)) and not _matches(argument):
            return _parts_of(argument, *parts)
        if glob.has_magic(argument):
            return _glob(argument)
        raise _not_found(argument)
    if os.path.isdir(path):
        return _folder(argument, path, recursive, kinds, on_skipped)
    return [_file(argument, path)]


def _file(argument: str, path: Path) -> Source:
    try:
        _refuse_special(os.stat(path).st_mode, argument)
    except OSError as error:  # gone meanwhile
        raise _not_found(argument) from error
    return Source(argument, path)


def _whole(argument: str) -> Path | None:
    """The path of a file or folder with that whole name, `#` and all; None where there is none."""
    if _is_file_address(argument) and locator.split(argument):  # in an address, a `#` never belongs to the name
        return None
    return _existing(_local(argument))


def _parts_of(argument: str, document: str, fragment: str) -> list[Source]:
    """The same part of each file that the argument without its fragment leads to."""
    path = _existing(_local(document))
    if path is None and not glob.has_magic(document):
        raise _not_found(argument)
    meant = locator.parse(fragment, argument)
    if path is not None and os.path.isdir(path):
        raise InputError(
            f"{quoted(document)} is a folder, and `#{meant}` names a part of a file",
            hint="a pattern in quotation marks names the same part of many files: 'photos/*.jpg#xywh=10,10,200,80'",
        )
    if path is None:
        return [replace(found, name=f"{found.name}#{fragment}", locator=meant) for found in _glob(document)]
    return [replace(_file(argument, path), locator=meant)]


def _address(url: str) -> Source:
    """An address; a fragment that is none of ours goes with it."""
    document, fragment = locator.split(url) or (url, None)
    meant = None if fragment is None else locator.parse(fragment, without_password(url))
    return Source(without_password(url), url=document, locator=meant)


def _from_stdin(stdin: bytes | None) -> Source:
    if not stdin:
        raise InputError(
            "`-` stands for what is piped into mmcli, but nothing was",
            hint="for example: `cat photo.jpg | mmcli ask - …`",
        )
    return Source("-", data=stdin)


def _is_url(argument: str) -> bool:
    match = _URL.match(argument)
    return match is not None and (match["scheme"] or "").lower() in ("http", "https")


def _is_file_address(argument: str) -> bool:
    return argument[:7].lower() == "file://"


def without_password(url: str) -> str:
    """The URL as it may be shown: user and password are taken out."""
    return re.sub(r"(?<=//)[^/?#]*@", "", url, count=1)


def _local(argument: str) -> str:
    """The path that a `file://` URL means; any other scheme that is not http(s) is an InputError."""
    match = _URL.match(argument)
    if match is None:
        return argument
    if (match["scheme"] or "").lower() != "file":
        scheme = match["data"] or match["scheme"]
        raise InputError(
            f"`{scheme}:` addresses are not supported: {quoted(without_password(argument))}",
            hint="use http:// or https://, or download it and pipe it: `… | mmcli ask - …`",
        )
    parts = urlsplit(argument)
    if parts.netloc not in ("", "localhost"):
        raise InputError(
            f"{quoted(argument)} names a file on another machine", hint="file:// takes three slashes: `file:///…`"
        )
    return os.fsdecode(unquote_to_bytes(parts.path))


def _existing(name: str) -> Path | None:
    """The path of a name that exists: as written, with `~` expanded, or as the one name that looks the same."""
    for candidate in dict.fromkeys((name, os.path.expanduser(name))):
        try:
            os.stat(candidate)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL byte
            if os.path.islink(candidate):
                target = os.readlink(candidate)
                raise InputError(f"{quoted(name)} is a link to {quoted(target)}, which does not exist") from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                continue
            reason = "permission denied" if isinstance(error, PermissionError) else error.strerror
            raise InputError(f"{quoted(name)} cannot be reached: {reason}") from error
        else:
            return Path(candidate)
    return _same_looking(os.path.expanduser(name))


def _same_looking(name: str) -> Path | None:
    """The one file whose name looks exactly like this one.

    macOS decomposes accents, and puts a narrow no-break space into the names of screenshots: nobody can type those.
    """
    folder, last = os.path.split(name)
    if last.isascii() and " " not in last:
        return None
    same = [entry for entry in _names(folder) if _looks(entry) == _looks(last)]
    return Path(folder, same[0]) if len(same) == 1 else None


def _looks(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    return "".join(" " if unicodedata.category(char) == "Zs" else char for char in composed)


def _refuse_special(mode: int, argument: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        raise InputError(f"{quoted(argument)} is a pipe, not a file", hint="pipe it into mmcli and name it `-`")
    raise InputError(
        f"{quoted(argument)} is a device, not a file", hint="`-` stands for stdin" if "stdin" in argument else None
    )


def _folder(
    argument: str, path: Path, recursive: bool, kinds: frozenset[str], on_skipped: Callable[[str], None] | None
) -> list[Source]:
    """The media of a folder by their extensions, in natural order; hidden files and links to folders are left out."""
    suffixes, skipped = _suffixes(kinds), folders.Skipped()
    files = list(folders.walk(path, recursive, suffixes, skipped))
    chosen = [name for name in files if os.path.splitext(name)[1].lower() in suffixes]
    if not chosen:
        names = [word for kind, word in _IN_FOLDERS if kind in kinds]
        words = " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        hint = folders.what_else(path, files, recursive)
        raise InputError(f"the folder {quoted(argument)} holds no {words}", hint=hint)
    _tell(skipped, argument, on_skipped)
    return [Source(os.path.join(argument, name), path / name) for name in sorted(chosen, key=natural)]


def _tell(skipped: folders.Skipped, argument: str, on_skipped: Callable[[str], None] | None) -> None:
    if on_skipped is not None and (sentence := skipped.sentence(argument)) is not None:
        on_skipped(sentence)


def _suffixes(kinds: frozenset[str]) -> frozenset[str]:
    of_kind = {"image": IMAGE_SUFFIXES, "audio": AUDIO_SUFFIXES, "video": VIDEO_SUFFIXES, "pdf": PDF_SUFFIXES}
    return frozenset().union(*(of_kind.get(kind, frozenset()) for kind in kinds))


def _glob(pattern: str) -> list[Source]:
    """The regular files a pattern matches, in natural order; `**` goes into sub-folders."""
    matches = dict.fromkeys(glob.glob(os.path.expanduser(pattern), recursive=True))
    there = [name for name in matches if os.path.isfile(name) or not os.path.exists(name)]  # reading a bad link tells
    files = [name for name in there if not os.path.basename(name).startswith("._")]
    if files:
        return [Source(name, Path(name)) for name in sorted(files, key=natural)]
    if matches:
        raise InputError(f"{quoted(pattern)} matches folders only", hint="add `/*` to it for the files in them")
    raise InputError(f"nothing matches {quoted(pattern)}", hint=_other_case(pattern))


def _matches(pattern: str) -> bool:
    """Whether a pattern leads to anything."""
    return glob.has_magic(pattern) and next(glob.iglob(os.path.expanduser(pattern), recursive=True), None) is not None


def _other_case(pattern: str) -> str | None:
    """Cameras write `.JPG`, people type `.jpg`."""
    stem, suffix = os.path.splitext(pattern)
    for other in (stem + suffix.upper(), stem + suffix.lower()):
        if other != pattern and glob.glob(os.path.expanduser(other), recursive=True):
            return f"did you mean {quoted(other)}?"
    return None


def _not_found(argument: str) -> InputError:
    unescaped = re.sub(r"\\(.)", r"\1", argument).strip().strip("'\"")
    if unescaped != argument and os.path.lexists(os.path.expanduser(unescaped).replace("\0", "")):
        return InputError(f"no file named {quoted(argument)}", hint=f"did you mean {quoted(unescaped)}?")
    if address := _as_address(argument):
        return InputError(f"no file named {quoted(argument)}", hint=f"as an address: {address}")
    document, fragment = locator.split(argument) or (argument, None)
    near = _near(document)
    if near and fragment is not None:
        near = f"{near}#{fragment}"
    return InputError(f"no file named {quoted(argument)}", hint=f"did you mean {quoted(near)}?" if near else None)


def _near(argument: str) -> str | None:
    """The path with its first part that does not exist replaced by the nearest name there."""
    folder, name = os.path.split(argument.rstrip("/"))
    while folder and not os.path.isdir(os.path.expanduser(folder).replace("\0", "")):
        above, name = os.path.split(folder)
        if above == folder:
            break
        folder = above
    near = _nearest(name, _names(os.path.expanduser(folder)))
    return os.path.join(folder, near) if near else None


def _as_address(argument: str) -> str | None:
    """`example.com/a.jpg` with the scheme that it lacks; None for what does not begin like a host's name."""
    match = _HOST.fullmatch(argument)
    if match is None or os.path.lexists(match["host"]):
        return None
    is_here = match["host"].split(":")[0] in ("localhost", "127.0.0.1")
    return f"{'http' if is_here else 'https'}://{argument}"


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return [entry.name for entry, _ in zip(entries, range(_MAX_CANDIDATES), strict=False)]
    except (OSError, ValueError):
        return []


def _nearest(name: str, names: list[str]) -> str | None:
    import difflib

    lowered = {entry.casefold(): entry for entry in names if not entry.startswith(".")}
    close = difflib.get_close_matches(name.casefold(), lowered, n=1, cutoff=0.7)
    return lowered[close[0]] if close else None
