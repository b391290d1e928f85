"""HDR frames -> SDR pixels: PQ (SMPTE ST 2084) and HLG (ITU-R BT.2100) to sRGB. Arithmetic only.

swscale can do it, too, but it fills a table for every film first, which takes 3.5 seconds of a CPU; this takes none.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PQ, HLG = 16, 18  # as AVColorTransferCharacteristic has them
WHITE = 203.0  # candela per square metre of diffuse white in HDR (ITU-R BT.2408)
PEAK = 1000.0  # of the screen that HLG is shown on
KNEE = 0.8  # of diffuse white: what is brighter is pressed together, so that bright clouds keep their shape
STEPS = 4096  # of the tables
# Linear light of BT.2020's primaries -> BT.709's (ITU-R BT.2087)
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def to_sdr(coded: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """(height, width, 3) RGB of BT.2020 in 16 bits -> the same size in sRGB, 8 bits."""
    light = _light(transfer)[coded >> 4]  # (height, width, 3) float32, 1 is diffuse white
    if transfer == HLG:  # HLG's screen makes bright things brighter than they were
        luminance = light @ np.array([0.2627, 0.678, 0.0593], np.float32)
        light *= (np.maximum(luminance, 1e-6) ** 0.2)[..., None] * np.float32(PEAK / WHITE)
    plain = np.clip(light @ TO_709.T, 0, None)
    bright = KNEE + (1 - KNEE) * (1 - np.exp((KNEE - plain) / (1 - KNEE)))
    plain = np.where(plain > KNEE, bright, plain)
    out: NDArray[np.uint8] = _srgb()[np.clip(plain * (STEPS - 1), 0, STEPS - 1).astype(np.uint16)]
    return out


@cache
def _light(transfer: int) -> NDArray[np.float32]:
    """(4096,): the light of each 12-bit code; of PQ 1 is diffuse white, of HLG the scene's brightest."""
    code = np.arange(STEPS) / (STEPS - 1)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        root = code ** (1 / m2)
        light = 10_000 / WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@cache
def _srgb() -> NDArray[np.uint8]:
    """(4096,): the 8-bit code of each amount of light from 0 to 1."""
    light = np.arange(STEPS) / (STEPS - 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)
