"""What people say to the starter, as written text: its questions, commands, small talk, its own answers, numbers.

Knows words and grammar; nothing of sound. A tenth of all sentences of three or more words is held out by hash:
never synthesised for training, and what every measurement draws from. Commands and fixed answers are always trained on.
"""

# ruff: noqa: E501  (a phrase reads best on one line)

from __future__ import annotations

import hashlib
import random
import re
from functools import cache
from pathlib import Path

from training import offtopic, phrases

WORDS_FILE = Path(__file__).with_name("words.txt")

COLORS = "red green blue yellow orange purple pink black white brown gray".split()
SHAPES = "circle square triangle star cross".split()
ENDS = "left right top bottom".split()
UNITS = "zero one two three four five six seven eight nine ten".split()
TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred".split()
NOUNS = (
    "cat dog bird horse fish man woman boy girl child face hand car bus train boat bike house tree flower mountain sun "
    "moon cloud apple book cup table chair door window phone computer ball shoe clock heart diamond person"
).split()
SCENERY = "in the picture|in this picture|in the image|here|on the screen|in the photo".split("|")

COMMANDS = (
    "Stop.", "Stop it.", "Stop listening.", "Stop talking.", "Quit.", "Exit.", "Cancel.", "Wait.", "Wait a moment.", "Hold on.",
    "Pause.", "Resume.", "Continue.", "Go on.", "Go back.", "Start.", "Start again.", "Start over.", "Try again.", "Again.",
    "One more time.", "Repeat that.", "Repeat the answer.", "Say that again.", "Say it again.", "Describe it again.", "Look again.",
    "What did you say?", "Yes.", "No.", "Yes, please.", "No, thank you.", "No, thanks.", "Okay.", "Sure.", "Right.", "Wrong.", "Correct.",
    "Maybe.", "Never mind.", "Not now.", "Please.", "Thank you.", "Thank you very much.", "Thanks.", "Thanks a lot.", "Goodbye.",
    "See you later.", "Good night.", "Hello.", "Hi.", "Hey.", "Hello there.", "Good morning.", "Good evening.", "How are you?",
    "Who are you?", "What can you do?", "What is your name?", "What time is it?", "Can you hear me?", "Are you there?", "Help.",
    "Help me, please.", "Louder.", "Speak louder.", "Speak slowly.", "Slower.", "Faster.", "Quiet.", "Be quiet.", "Listen.",
    "Look at the screen.", "Look at my screen.", "Look at this.", "Look at the picture.", "Look at the clipboard.", "Look at the file.",
    "Look at the camera.", "Look at the page.", "Take a screenshot.", "Take a picture.", "Take a photo.", "Show me.", "Show me the picture.",
    "Open the picture.", "Open the file.", "Close the picture.", "Save the picture.", "Save it.", "Delete it.", "Clear.", "Undo.",
    "Next.", "Next picture.", "The next one.", "Previous picture.", "The last one.", "New picture.", "New conversation.",
    "Forget it.", "That is all.", "That is wrong.", "That is right.", "Tell me more.", "Tell me more about it.", "Why?", "What?", "Where?",
    "Which one?", "How many?", "And now?", "What else?", "What now?", "Describe it.", "Describe the picture.", "Describe the screen.",
    "What is this?", "What do you see?", "What is on the screen?", "What is on my screen?", "What is in the clipboard?",
    "Nothing.", "I do not know.", "I do not understand.", "I cannot hear you.", "Can you see me?", "Look here.", "What day is it?",
    "Tell me a joke.", "What is the weather today?", "How old are you?", "Where are you?", "Attach the picture.", "Attach the file.",
    "Mute.", "Mute the microphone.", "Turn it off.", "Louder, please.", "What is the answer?", "Use the camera.", "Play the video.",
    "Show me the history.", "Open the folder.", "Good.", "Very good.", "Well done.", "Great.", "Perfect.", "Enough.", "That is enough.",
    "Count them.", "Read it.", "Read it aloud.", "Read the text.", "Testing, one, two, three.", "This is a test.", "I am not sure.",
)  # fmt: skip

ANSWERS = (
    "I cannot read text.", "I only know pictures of simple colored shapes.", "I do not see a picture. Please add one.",
    "You are welcome.", "I am only a starter model. I can talk about simple colored shapes.", "The pictures are the same.",
    "Goodbye.", "I see no shapes in this picture.", "Hello. I am a small starter model. Show me a picture of colored shapes.",
    "I do not see a picture.", "Please add one.", "I am only a starter model.", "I can talk about simple colored shapes.",
    "I see only one picture.",
)  # fmt: skip

# Spellings that speech cannot tell, shorthand nobody says, and the rarer of two words that sound the same.
SPOKEN = {
    "colour": "color",
    "colours": "colors",
    "coloured": "colored",
    "grey": "gray",
    "ok": "okay",
    "contents?": "contents",
}
UNSPEAKABLE = set("u r pls thx ocr its write writing whether their sketchs by buy ai gpt chatgpt claude gemini llama ciao hiya howdy color's shape's object's item's form's element's thing's figure's circle's cross's square's star's triangle's colour's alt".split())  # fmt: skip

# Words that sound like another one of the lexicon and are told apart by grammar alone: never in random strings.
BY_GRAMMAR = frozenset("to for know here seen read isn't aren't what's where's i'd i'm".split())


def written(text: str) -> str:
    """As it is to be transcribed: capital first letters and I, `, . ?` and nothing else, American spelling."""
    text = re.sub(r"[^A-Za-z' ,.:;!?]", " ", text)
    text = re.sub(r"[:;]", ",", text).replace("!", ".")
    words = []
    for word in text.split():
        core = word.strip(",.?").lower()
        if core:
            words.append(SPOKEN.get(core, core) + ("".join(re.findall(r"[,.?]$", word))))
    text = " ".join(words)
    text = re.sub(r"\? (?=of |are |were )", " ", text)  # "contents? of" in a template is no end
    text = re.sub(r"\bi('|\b)", r"I\1", text)
    text = re.sub(r"(^|[.?] )([a-z])", lambda match: match.group(1) + match.group(2).upper(), text)
    return text if text[-1:] in (".", "?") else f"{text.rstrip(',')}."


def plain(text: str) -> str:
    """Only the words, for comparing: lower case, no punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def words_of(text: str) -> list[str]:
    return plain(text).split()


@cache
def everyday() -> frozenset[str]:
    """What is said over and over, word for word: always trained on, so never measured as new."""
    return frozenset(plain(text) for text in COMMANDS + ANSWERS)


def is_held_out(text: str) -> bool:
    """Never synthesised for training; decided by the words alone."""
    words = plain(text)
    if words.count(" ") < 2 or words in everyday():
        return False
    return hashlib.sha256(words.encode()).digest()[0] % 10 == 0


@cache
def lexicon() -> tuple[str, ...]:
    """Every word the model knows, in alphabetical order."""
    return tuple(WORDS_FILE.read_text("utf-8").split())


def article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(noun: str) -> str:
    irregular = {"man": "men", "woman": "women", "child": "children", "person": "people", "fish": "fish"}
    return irregular.get(noun, noun + ("es" if noun.endswith(("s", "x", "ch")) else "s"))


def thing(rng: random.Random) -> str:
    shape = rng.choice(SHAPES)
    return f"{rng.choice(COLORS)} {shape}" if rng.random() < 0.5 else shape


def question(rng: random.Random) -> str:
    """What one asks the vision starter, in any of its phrasings."""
    skill = rng.choice(tuple(phrases.TRAIN))
    templates = phrases.TRAIN[skill] + phrases.HELD[skill]
    shape, color = rng.choice(SHAPES), rng.choice(COLORS)
    slots = {
        "s": thing(rng), "p": plural(shape), "c": color, "a": article(f"{color} {shape}"), "as": article(shape),
        "ac": article(color), "cs": f"{color} {shape}", "cp": f"{color} {plural(shape)}", "n": rng.choice(UNITS), "A": thing(rng),
        "B": thing(rng), "r": rng.choice(phrases.SIDES[rng.choice(tuple(phrases.SIDES))]), "e": rng.choice(ENDS),
        "o": rng.choice(("first", "second")),
    }  # fmt: skip
    text = phrases.expand(rng, rng.choice(templates)).format_map(slots).replace(" 's", "'s")
    text = re.sub(r"\b(to|on) the ((?:to|on) the|above|over|higher|below|under|lower)\b", r"\2", text)
    if rng.random() < 0.1:
        before = rng.choice(("Please", "Can you tell me", "Hey,", "Hello.", "Okay,", "So,", "Now", "And", "Look at the picture.",
                             "Please tell me,", "Then", "Also,", "Next question,", "Well,", "Tell me,", "Here is a picture."))  # fmt: skip
        text = f"{before} {text[0].lower()}{text[1:]}"
    elif rng.random() < 0.08:
        end = "?" if text.endswith("?") else "."
        text = text.rstrip("?.") + rng.choice((", please", " please", " for me", " then", " now")) + end
    return text


def request(rng: random.Random) -> str:
    """Short questions and follow-ups as one says them aloud, and what is out of the starter's scope."""
    noun, other = rng.choice(NOUNS), rng.choice(NOUNS)
    place = rng.choice(SCENERY)
    forms = (
        f"What about the {thing(rng)}?", f"And the {thing(rng)}?", f"The {rng.choice(COLORS)} one.", f"The {thing(rng)}, please.",
        f"No, the {thing(rng)}.", f"Yes, the {thing(rng)}.", f"Is it {rng.choice(COLORS)}?", f"Is it {article(rng.choice(SHAPES))}?",
        f"Is there {article(noun)} {place}?", f"What color is the {noun}?", f"How many {plural(noun)} are there?",
        f"Where is the {noun}?", f"Can you see {article(noun)}?", f"Are there any {plural(noun)} {place}?", f"Is this {article(noun)}?",
        f"Is this {article(noun)} or {article(other)}?", f"Describe the {noun}.", f"Count the {plural(noun)}.", f"Find the {noun}.",
        f"What is the {rng.choice(('man', 'woman', 'person', 'child', 'dog', 'cat'))} doing?", f"Who is {place}?",
        f"Look at the {rng.choice((noun, *SHAPES))}.", f"Look at the {rng.choice(('first', 'second', 'next', 'last', 'new'))} picture.",
        f"What is {rng.choice(UNITS)} plus {rng.choice(UNITS)}?", f"What is {rng.choice(UNITS)} minus {rng.choice(UNITS)}?",
        f"What is on the {rng.choice(ENDS)}?", f"What is at the {rng.choice(('top', 'bottom'))}?", "What is in the middle?",
        f"Show me the {rng.choice((noun, *SHAPES))}.", f"Is the {thing(rng)} bigger than the {thing(rng)}?",
        f"Which {rng.choice(SHAPES)} is the {rng.choice(('biggest', 'smallest'))}?", "What is in the center?",
        f"Is the {thing(rng)} {rng.choice(('big', 'small', 'large', 'round', 'dark', 'light'))}?",
        f"Is the {thing(rng)} {rng.choice(('bigger', 'smaller', 'larger'))} than the {rng.choice(SHAPES)}?",
        f"Is it a {rng.choice(('big', 'small', 'large', 'dark', 'light'))} {rng.choice((noun, *SHAPES))}?",
        f"The {rng.choice(('big', 'small', 'first', 'second', 'last', 'other', 'left', 'right'))} one.",
        f"Do you see {article(noun)} or {article(other)}?",
    )  # fmt: skip
    return rng.choice(forms)


def answer(rng: random.Random) -> str:
    """What the vision starter says: the microphone hears it when it is spoken aloud."""

    def one() -> str:
        return article(f"{rng.choice(COLORS)} {rng.choice(SHAPES)}")

    listed = ", ".join(one() for _ in range(rng.choice((1, 1, 2, 3))))
    side = rng.choice(("to the left of", "to the right of", "above", "below"))
    n = rng.choice(UNITS[2:7])
    shape, color, noun = rng.choice(SHAPES), rng.choice(COLORS), rng.choice(("shapes", plural(rng.choice(SHAPES))))
    forms = (
        f"I see {listed}.", f"I see {listed} and {one()}.", f"I see {one()}, {one()} and {one()}.", f"There are {n} {noun}.",
        f"There is one {shape}.", f"There is no {thing(rng)}.", f"The {shape} is {color}.", f"The {color} shape is {article(shape)}.",
        f"Yes, there is {one()}.", f"No, there is no {thing(rng)}.", f"No, the {shape} is {color}.", f"The background is {color}.",
        f"The colors are {color} and {rng.choice(COLORS)}.", f"The {thing(rng)} is {side} the {thing(rng)}.",
        f"The {thing(rng)} is at the {rng.choice(('top', 'bottom'))} {rng.choice(('left', 'right'))}.",
        f"The first picture has {one()} and the second picture has {one()}.", "The shape is in the middle.",
    )  # fmt: skip
    return rng.choice(forms if rng.random() < 0.65 else ANSWERS)


def number(rng: random.Random) -> str:
    every = UNITS + TEENS + TENS
    forms = (
        rng.choice(every), rng.choice(every), " ".join(rng.choice(UNITS) for _ in range(rng.randint(2, 4))),
        f"{rng.choice(TENS[:8])} {rng.choice(UNITS[1:10])}", f"number {rng.choice(every)}", f"the number {rng.choice(every)}",
        f"{rng.choice(UNITS[2:])} {plural(rng.choice(SHAPES))}", f"number {rng.choice(UNITS)}, please",
        f"picture {rng.choice(UNITS[1:] + TEENS)}", f"page {rng.choice(UNITS[1:] + TEENS)}",
    )  # fmt: skip
    return rng.choice(forms)


def single(rng: random.Random) -> str:
    """A colour, a shape, a thing: the shortest answers to a question back."""
    return rng.choice((rng.choice(COLORS), rng.choice(SHAPES), thing(rng), f"the {thing(rng)}", rng.choice(ENDS)))


def small_talk(rng: random.Random) -> str:
    return offtopic.small_talk(rng)[1]


def command(rng: random.Random) -> str:
    return rng.choice(COMMANDS)


def jumble(rng: random.Random) -> str:
    """Random words in a row, so that grammar can't stand in for listening."""
    words = [word for word in lexicon() if word not in BY_GRAMMAR]
    return " ".join(rng.choice(words) for _ in range(rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6))))


FORMS = {question: 52, request: 11, answer: 9, number: 6, single: 3, small_talk: 4, command: 15}
JUMBLED = 0.16  # of what is trained on


def say(rng: random.Random) -> str:
    """Something a user of the starter may say, words of the lexicon only."""
    known = set(lexicon())
    while True:
        text = written(rng.choices(tuple(FORMS), tuple(FORMS.values()))[0](rng))
        if known.issuperset(words_of(text)):
            return text


def to_train_on(rng: random.Random) -> str:
    while True:
        text = written(jumble(rng)) if rng.random() < JUMBLED else say(rng)
        if not is_held_out(text):
            return text


def to_measure_with(rng: random.Random) -> str:
    while True:
        text = say(rng)
        if is_held_out(text):
            return text


def find_words(seed: int = 0, n: int = 120_000, at_least: int = 12) -> list[str]:
    """The lexicon: every word that is said often enough, commands' words in any case."""
    rng = random.Random(f"{seed} words")
    counts: dict[str, int] = {}
    for _ in range(n):
        text = written(rng.choices(tuple(FORMS), tuple(FORMS.values()))[0](rng))
        for word in words_of(text):
            counts[word] = counts.get(word, 0) + 1
    always = {word for text in COMMANDS for word in words_of(text)}
    return sorted(w for w, times in counts.items() if (times >= at_least or w in always) and w not in UNSPEAKABLE)
