"""What is known of pieces beside their pixels, as conditions of a search: when, where, with what, in which folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Any

from mmcli.errors import UsageError
from mmcli.library.records import KINDS

EARTH = 6371.0088  # km


@dataclass(frozen=True)
class PieceFacts:
    """Conditions that a piece must meet. None: any will do."""

    since: str | None = None  # local time, compared as text: "2024-07-14"
    until: str | None = None  # the first moment behind
    camera: str | None = None
    near: tuple[float, float] | None = None  # degrees north, east
    within: float = 1.0  # km
    place: str | None = None
    folders: tuple[bytes, ...] = ()  # absolute
    kinds: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether every piece meets them."""
        return self == PieceFacts()

    def sql(self) -> tuple[str, list[Any]]:
        """A condition over pieces, contents, files and roots, and its values."""
        parts, values = ["files.state = 'here'"], list[Any]()
        for name, value in (("taken >= ?", self.since), ("taken < ?", self.until)):
            if value is not None:
                parts.append(name)
                values.append(value)
        for name, text in (("camera", self.camera), ("place", self.place)):
            if text is not None:
                parts.append(f"instr(lower({name}), lower(?)) > 0")
                values.append(text)
        if self.near is not None:
            lat, lon = self.near
            up = self.within / 111.0 * 1.01
            parts.append("lat BETWEEN ? AND ? AND kilometres(lat, lon, ?, ?) <= ?")
            values += [lat - up, lat + up, lat, lon, self.within]
        if self.folders:
            either = "(path_of(roots.path, files.path) = ? OR substr(path_of(roots.path, files.path), 1, ?) = ?)"
            parts.append(f"({' OR '.join([either] * len(self.folders))})")
            for folder in self.folders:
                below = folder.rstrip(b"/") + b"/"
                values += [folder, len(below), below]
        if self.kinds:
            parts.append(f"pieces.kind IN ({', '.join('?' * len(self.kinds))})")
            values += self.kinds
        return " AND ".join(parts), values


def kilometres(lat: float | None, lon: float | None, other_lat: float, other_lon: float) -> float:
    """The way between two places, by the haversine formula; very long where one is not known."""
    if lat is None or lon is None:
        return 1e9
    one, two = radians(lat), radians(other_lat)
    half = sin((two - one) / 2) ** 2 + cos(one) * cos(two) * sin(radians(other_lon - lon) / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(half)))


def full(root: bytes, path: bytes) -> bytes:
    """The path of a file of a root."""
    return os.path.join(root, path) if path else root


def begin_of(text: str, option: str) -> str:
    """`2024`, `2024-07`, `2024-07-14` or `2024-07-14T12:30` as the text that no earlier moment's reaches."""
    return _period(text, option)[0]


def end_of(text: str, option: str) -> str:
    """The first moment behind the period: `--until 2024` means all of 2024."""
    return _period(text, option)[1]


def _period(text: str, option: str) -> tuple[str, str]:
    match = re.fullmatch(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[T ](\d\d?):(\d\d))?)?)?", text.strip())
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute = (None if group is None else int(group) for group in match.groups())
        first = date(year or 0, month or 1, day or 1)
        if hour is not None and minute is not None:
            if hour > 23 or minute > 59:
                raise ValueError
            behind = minute + 1 + 60 * hour
            end = first.isoformat() + f"T{behind // 60:02d}:{behind % 60:02d}"
            return first.isoformat() + f"T{hour:02d}:{minute:02d}", end
        if day is not None:
            last = first + timedelta(days=1)
        elif month is not None:
            last = date(first.year + month // 12, month % 12 + 1, 1)
        else:
            last = date(first.year + 1, 1, 1)
    except (ValueError, OverflowError) as error:
        hint = "as in 2024, 2024-07, 2024-07-14 or 2024-07-14T12:30"
        raise UsageError(f"{option}: `{text}` is no date", hint=hint) from error
    return first.isoformat(), last.isoformat()


def position(text: str) -> tuple[float, float]:
    """`48.2,16.37` as degrees north and east."""
    try:
        lat, lon = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--near: `{text}` is no position", hint="as in 48.2,16.37: degrees north, east") from error
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise UsageError(f"--near: `{text}` is not on Earth", hint="as in 48.2,16.37: degrees north, east")
    return lat, lon


def length(text: str) -> float:
    """`5km`, `300m` or a number of kilometres, in km."""
    match = re.fullmatch(r"([0-9.]+)\s*(km|m|mi)?", text.strip())
    try:
        if match is None:
            raise ValueError
        return float(match[1]) * {"m": 0.001, "mi": 1.609344}.get(match[2] or "km", 1.0)
    except ValueError as error:
        raise UsageError(f"--within: `{text}` is no distance", hint="as in 5km or 300m") from error


def kinds(text: str) -> tuple[str, ...]:
    """`picture,page` as kinds of pieces."""
    found = tuple(part.strip() for part in text.split(","))
    for kind in found:
        if kind not in KINDS:
            raise UsageError(f"--kind: `{kind}` is none", hint=f"kinds: {', '.join(KINDS)}")
    return found
