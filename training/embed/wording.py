"""Claims in words, English and German, as people type them into a search. Knows no pictures."""

from __future__ import annotations

import random

from training.embed.claims import Claim, Facts, Part
from training.offtopic import HELD_NOUNS, NOUNS, TOPICS
from training.pictures import COLORS, KINDS, SHAPES

COLOR_WORDS = {"purple": ("purple", "purple", "violet"), "gray": ("gray", "grey")}
SHAPE_WORDS = {
    "circle": ("circle", "circle", "circle", "disc", "dot"),
    "square": ("square", "square", "square", "box"),
    "cross": ("cross", "cross", "cross", "plus"),
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
WRAPPERS = (
    "{}", "{}", "{}", "{}", "a picture of {}", "a photo of {}", "an image of {}", "a drawing of {}",
    "a picture with {}",
    "an image with {}", "there is {}", "find {}", "art of {}", "a bad photo of {}", "an origami {}", "itap of {}",
    "{} in a video game", "a photo of the large {}", "a photo of the small {}", "the {}", "pictures of {}",
    "show me {}",
)  # fmt: skip
PLACES = {
    (None, 0): ("on the left", "at the left", "left"), (None, 2): ("on the right", "at the right", "right"),
    (0, None): ("at the top", "on top", "above"), (2, None): ("at the bottom", "below"),
    (1, 1): ("in the middle", "in the centre", "in the center"), (0, 0): ("in the top left corner", "top left"),
    (0, 2): ("in the top right corner", "top right"), (2, 0): ("in the bottom left corner", "bottom left"),
    (2, 2): ("in the bottom right corner", "bottom right"),
}  # fmt: skip
GERMAN_COLORS = ("rot", "grün", "blau", "gelb", "orange", "lila", "rosa", "schwarz", "weiß", "braun", "grau")
GERMAN_SHAPES = (("Kreis", "m"), ("Quadrat", "n"), ("Dreieck", "n"), ("Stern", "m"), ("Kreuz", "n"))
GERMAN_NUMBERS = ("kein", "ein", "zwei", "drei", "vier", "fünf", "sechs")
GERMAN_PLACES = {
    (None, 0): ("links",), (None, 2): ("rechts",), (0, None): ("oben",), (2, None): ("unten",),
    (1, 1): ("in der Mitte",),
    (0, 0): ("oben links",), (0, 2): ("oben rechts",), (2, 0): ("unten links",), (2, 2): ("unten rechts",),
}  # fmt: skip
GERMAN_WRAPPERS = ("{}", "{}", "{}", "ein Bild mit {}", "ein Foto von {}", "Bilder mit {}", "finde {}", "zeig mir {}")


def english_part(rng: random.Random, part: Part) -> str:
    color = "" if part.color is None else COLORS[part.color]
    color = rng.choice(COLOR_WORDS.get(color, (color,)))
    if part.shape is None:
        noun = rng.choice(("shape", "thing", "object", "figure"))
        if part.n is None and color and rng.random() < 0.7:
            return rng.choice((f"something {color}", color, f"anything {color}"))
    else:
        name = SHAPES[part.shape]
        noun = rng.choice(SHAPE_WORDS.get(name, (name,)))
    words = f"{color} {noun}".strip()
    if part.n is None:
        article = "an" if words[0] in "aeiou" else "a"
        many = f"{_plural(words)}" if rng.random() < 0.5 else words
        return rng.choice((f"{article} {words}", f"{article} {words}", words, words, f"the {words}", many))
    if part.n == 1:
        return rng.choice(("one", "exactly one", "a single", "1")) + f" {words}"
    return (
        rng.choice((NUMBERS[part.n], NUMBERS[part.n], str(part.n), f"exactly {NUMBERS[part.n]}")) + f" {_plural(words)}"
    )


def _plural(words: str) -> str:
    return words + ("es" if words.endswith(("s", "x")) else "s")


def german_part(rng: random.Random, part: Part) -> str:
    noun, gender = ("Form", "f") if part.shape is None else GERMAN_SHAPES[part.shape]
    many = part.n is not None and part.n > 1
    if part.color is not None and part.shape is None and part.n is None:
        return rng.choice(("etwas {}es", "{}")).format(_stem(GERMAN_COLORS[part.color]))
    ending = "e" if many or gender == "f" else "er" if gender == "m" else "es"
    color = "" if part.color is None else _stem(GERMAN_COLORS[part.color]) + ending
    words = f"{color} {noun}{('en' if gender == 'f' else 'e') if many else ''}".strip()
    if many:
        assert part.n is not None
        return rng.choice((GERMAN_NUMBERS[part.n], str(part.n))) + f" {words}"
    article = "eine" if gender == "f" else "ein"
    one = "genau " if part.n == 1 else ""
    return f"{one}{article} {words}" if one or rng.random() < 0.5 else words


def _stem(color: str) -> str:
    return {"orange": "orangefarben", "lila": "lilafarben", "rosa": "rosafarben"}.get(color, color)


def say(rng: random.Random, claim: Claim, german: bool | None = None) -> str:
    """The claim as one of the ways to put it; one in ten is German."""
    if claim.absurd:
        return _nonsense(rng)
    german = rng.random() < 0.1 if german is None else german
    if claim.kind:
        return _kind(rng, claim.kind, german)
    parts = [(german_part if german else english_part)(rng, part) for part in claim.parts]
    last = " und " if german else " and "
    if len(parts) == 2:
        text = parts[0] + rng.choice((last, last, last, " mit " if german else " with ", ", ")) + parts[1]
    else:
        text = ", ".join(parts[:-1]) + (last if len(parts) > 1 else "") + parts[-1]
    if claim.alone:
        forms = (
            ("nur {}", "nichts als {}") if german else ("only {}", "just {}", "nothing but {}", "{} and nothing else")
        )
        text = rng.choice(forms).format(text)
    if claim.place:
        text += " " + rng.choice((GERMAN_PLACES if german else PLACES)[claim.place])
    if claim.background is not None:
        if german:
            text += f" auf {_stem(GERMAN_COLORS[claim.background])}em Hintergrund"
        else:
            text += rng.choice((" on a {} background", " on {}")).format(COLORS[claim.background])
    return rng.choice(GERMAN_WRAPPERS if german else WRAPPERS).format(text)


def _kind(rng: random.Random, kind: str, german: bool) -> str:
    known = {
        "empty": (
            ("an empty picture", "nothing", "no shapes", "a blank image", "empty"),
            ("ein leeres Bild", "nichts"),
        ),
        "text": (("text", "printed words", "a picture of text", "writing", "letters"), ("Text", "Schrift", "Wörter")),
    }
    return rng.choice(known[kind][german])


def _nonsense(rng: random.Random, held: bool = False) -> str:
    noun = rng.choice(HELD_NOUNS if held else NOUNS)
    forms = (
        "{}",
        "a {}",
        "a {} and a " + rng.choice(NOUNS),
        "the " + rng.choice(TOPICS),
        "two {}s",
        "a red {}",
        "{} on a",
    )
    text = rng.choice(forms if not held else forms[:2]).format(noun)
    return rng.choice(WRAPPERS).format(text)


def nonsense(rng: random.Random) -> str:
    """A thing that no picture shows, in a word that no training batch held."""
    return _nonsense(rng, held=True)


def claim_about(rng: random.Random, facts: Facts, at: int) -> Claim:
    """A claim that is true of picture `at`, or nearly: with a colour, a shape, a number or a place changed."""
    kind = KINDS[facts.kinds[at]]
    if kind in ("empty", "text"):
        return Claim(kind=kind) if rng.random() < 0.7 else Claim(absurd=True)
    if kind == "foreign":
        return Claim(absurd=True) if rng.random() < 0.6 else random_claim(rng)
    things = [(int(c), int(s)) for c, s in zip(*facts.counts[at].nonzero(), strict=True)]
    claim = _true(rng, facts, at, things)
    return _changed(rng, claim, things) if rng.random() < 0.45 else claim


def _true(rng: random.Random, facts: Facts, at: int, things: list[tuple[int, int]]) -> Claim:
    color, shape = rng.choice(things)
    counts = facts.counts[at]
    dice = rng.random()
    if dice < 0.14:
        return Claim((Part(color, shape),))
    if dice < 0.2:
        return Claim((Part(None, shape),))
    if dice < 0.25:
        return Claim((Part(color, None),))
    if dice < 0.33:
        part = rng.choice((Part(color, shape), Part(None, shape), Part(color), Part()))
        n = int((counts[color, shape], counts[:, shape].sum(), counts[color].sum(), counts.sum())[_which(part)])
        return Claim((Part(part.color, part.shape, n),))
    if dice < 0.62 and len(things) > 1:
        first, second = rng.sample(things, 2)
        return Claim((Part(*first), Part(*second)))
    if dice < 0.7:
        rows, columns = facts.places[at, :, :, color, shape].nonzero()
        place = rng.choice(list(zip(rows.tolist(), columns.tolist(), strict=True)))
        near = [known for known in PLACES if all(a is None or a == b for a, b in zip(known, place, strict=True))]
        return Claim((Part(color, shape),), place=rng.choice(near)) if near else Claim((Part(color, shape),))
    if dice < 0.75:
        ground = int(facts.backgrounds[at])
        return Claim((Part(color, shape),), background=ground if ground >= 0 else None)
    if dice < 0.8 and counts.sum() == 1:
        return Claim((Part(color, shape),), alone=True)
    rng.shuffle(things)
    return Claim(tuple(Part(c, s, n if (n := int(counts[c, s])) > 1 else None) for c, s in things))


def _which(part: Part) -> int:
    return (0 if part.shape is not None else 2) if part.color is not None else (1 if part.shape is not None else 3)


def _changed(rng: random.Random, claim: Claim, things: list[tuple[int, int]]) -> Claim:
    """Hard negatives: colours or shapes swapped between two things, a number off by one, another place or colour."""
    parts = list(claim.parts)
    at = rng.randrange(len(parts))
    part, dice = parts[at], rng.random()
    if len(parts) > 1 and dice < 0.7:
        other = (at + 1) % len(parts)
        parts[at], parts[other] = (
            Part(parts[other].color, part.shape, part.n),
            Part(part.color, parts[other].shape, parts[other].n),
        )
    elif part.n is not None and dice < 0.6:
        parts[at] = Part(part.color, part.shape, min(6, max(1, part.n + rng.choice((-1, 1)))))
    elif claim.place and dice < 0.6:
        return Claim(claim.parts, place=rng.choice(list(PLACES)))
    elif claim.background is not None and dice < 0.5:
        return Claim(claim.parts, background=rng.randrange(len(COLORS)))
    elif len(things) > 1 and dice < 0.75 and part.color is not None and part.shape is not None:
        parts[at] = Part(part.color, rng.choice(things)[1], part.n)  # of another thing here: only binding tells
    elif part.color is not None and (part.shape is None or dice < 0.88):
        parts[at] = Part(rng.randrange(len(COLORS)), part.shape, part.n)
    else:
        parts[at] = Part(part.color, rng.randrange(len(SHAPES)), part.n)
    return Claim(tuple(parts), claim.alone, claim.place, claim.background)


def random_claim(rng: random.Random) -> Claim:
    color, shape = rng.randrange(len(COLORS)), rng.randrange(len(SHAPES))
    return Claim((rng.choice((Part(color, shape), Part(color), Part(None, shape))),))


def swapped(rng: random.Random, facts: Facts, at: int) -> tuple[str, str] | None:
    """Two phrases of one wording about picture `at`: a true one, and one with the colours of two things swapped.

    None where it has no two things of different shapes and colours, or where the swapped ones are there, too.
    """
    things = [(int(c), int(s)) for c, s in zip(*facts.counts[at].nonzero(), strict=True)]
    rng.shuffle(things)
    for i, (color, shape) in enumerate(things):
        for other_color, other_shape in things[i + 1 :]:
            if color == other_color or shape == other_shape:
                continue
            if facts.counts[at, other_color, shape] and facts.counts[at, color, other_shape]:
                continue
            words = rng.getstate()
            right = say(rng, Claim((Part(color, shape), Part(other_color, other_shape))))
            rng.setstate(words)
            return right, say(rng, Claim((Part(other_color, shape), Part(color, other_shape))))
    return None
