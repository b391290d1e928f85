"""Whose voices: espeak-ng's own, invented ones, and those kept for measuring. Knows their names, not how they sound."""

from __future__ import annotations

import random
from dataclasses import dataclass

ACCENTS = {
    "en-us": 10, "en-gb": 8, "en-gb-scotland": 3, "en-gb-x-rp": 4, "en-029": 2, "en-us-nyc": 2, "en-gb-x-gbclan": 2
}  # fmt: skip
VARIANTS = (
    "m1 m2 m3 m4 m6 m7 m8 f1 f2 f4 f5 klatt klatt2 klatt4 Alex Alicia Andy AnxiousAndy Denis Diogo Gene Gene2 Hugo "
    "Jacky Lee Marco Mario Michael Nguyen adam anika antonio aunty belinda benjamin caleb croak david ed edward "
    "edward2 grandma grandpa gustave iven iven2 iven4 john kaukovalta klatt5 linda marcelo max michel miguel norbert "
    "pablo paul pedro quincy rob robert sandro shelby steph steph2 travis victor zac"
).split()
HELD_ACCENT = "en-gb-x-gbcwmd"
HELD_VARIANTS = "m5 f3 klatt3 Andrea Mike Annie boris Henrique".split()
INVENTED = tuple(f"starter{i}" for i in range(100))


@dataclass(frozen=True)
class Voice:
    name: str  # as espeak-ng's -v takes it: accent, or accent+variant
    speed: int  # words a minute
    pitch: int  # 0 to 99, 50 is the voice's own
    range: int  # likewise
    gap: int  # pause between words, 10 ms each


def _way(rng: random.Random, name: str) -> Voice:
    gap = rng.choice((0, 0, 0, 0, 0, 1, 2, 4))
    return Voice(name, rng.randint(115, 210), rng.randint(25, 75), rng.randint(25, 80), gap)


def seen(rng: random.Random) -> Voice:
    """A voice to train with: one of espeak-ng's, bare or as a variant."""
    accent = rng.choices(tuple(ACCENTS), tuple(ACCENTS.values()))[0]
    variant = "" if rng.random() < 0.15 else f"+{rng.choice(VARIANTS)}"
    return _way(rng, accent + variant)


def invented(rng: random.Random) -> Voice:
    """A voice to train with that only this folder knows: formants, pitch and breath drawn at random."""
    accent = rng.choices(tuple(ACCENTS), tuple(ACCENTS.values()))[0]
    return _way(rng, f"{accent}+{rng.choice(INVENTED)}")


def unseen(rng: random.Random) -> Voice:
    """A voice never trained with: another variant, or another accent."""
    if rng.random() < 0.25:
        return _way(rng, HELD_ACCENT)
    return _way(rng, f"{rng.choice(('en-us', 'en-gb', HELD_ACCENT))}+{rng.choice(HELD_VARIANTS)}")


def variant_file(name: str) -> str:
    """The invented variant of this name, in espeak-ng's format: always the same."""
    rng = random.Random(f"variant {name}")
    low = rng.uniform(60, 190)
    throat = rng.uniform(0.85, 1.22)  # a longer or shorter one moves every formant
    lines = ["language variant", f"name {name}", f"pitch {low:.0f} {low * rng.uniform(1.2, 1.7):.0f}"]
    for formant in range(9):
        frequency = 100 * throat * rng.uniform(0.94, 1.06) if formant else 100.0
        lines.append(f"formant {formant} {frequency:.0f} {rng.uniform(75, 130):.0f} {rng.uniform(80, 150):.0f}")
    lines.append(f"flutter {rng.randint(0, 12)}")
    lines.append(f"roughness {rng.randint(0, 4)}")
    lines.append(f"voicing {rng.uniform(40, 170):.0f}")
    if rng.random() < 0.25:
        lines.append("breath " + " ".join(str(rng.randint(0, 8)) for _ in range(8)))
    if rng.random() < 0.5:
        tone = [(600, rng.randint(130, 255)), (1200, rng.randint(80, 255)), (2500, rng.randint(40, 255))]
        lines.append("tone " + " ".join(f"{hertz} {gain}" for hertz, gain in tone))
    if rng.random() < 0.2:
        lines.append(f"klatt {rng.choice((1, 2, 4, 5, 6))}")
    return "\n".join(lines) + "\n"
