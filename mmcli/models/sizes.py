"""Formats sizes in decimal megabytes and gigabytes, as disks and downloads are sold."""

from __future__ import annotations

MB, GB = 1_000_000, 1_000_000_000


def words(n_bytes: int, digits: int = 2) -> str:
    """`2.95 GB`, with so many digits behind the point; below a tenth of one, `43.1 MB`."""
    return f"{n_bytes / GB:.{digits}f} GB" if n_bytes >= GB / 10 else f"{n_bytes / MB:.1f} MB"


def short(n_bytes: int | None) -> str:
    """`1.6 GB`, `75 MB`, for a column of sizes; `-` where nothing is known."""
    if n_bytes is None:
        return "-"
    return f"{n_bytes / GB:.1f} GB" if n_bytes >= 0.95 * GB else f"{n_bytes / MB:.0f} MB"


def in_gb(n_bytes: int) -> str:
    """`2.95`, where the unit stands beside it; small numbers have a digit more."""
    return f"{n_bytes / GB:.2f}" if n_bytes >= GB / 10 else f"{n_bytes / GB:.3f}"


def rounded_gb(n_bytes: int | None) -> float | None:
    """For tables and programs: gigabytes to three digits behind the point; None where nothing is known."""
    return round(n_bytes / GB, 3) if n_bytes else None
