"""Questions written by hand, as a stranger types them, on eight fixed pictures; never trained on.

A question is right if its answer has every word asked for; `!word` must not be there.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from training.second import CSS, paint


@dataclass(frozen=True)
class Asked:
    pictures: str  # names of PICTURES, or nothing
    question: str
    words: tuple[str, ...]


def picture(
    *things: tuple[str, str, float, float], size: tuple[int, int] = (640, 480), ground: str = "#ffffff"
) -> Image.Image:
    """Shapes of one radius at relative places."""
    radius = min(size) * 0.15
    drawn = [(shape, CSS[color][0], x * size[0], y * size[1], radius) for color, shape, x, y in things]
    return paint(drawn, *size, ground)


def fixed_pictures() -> dict[str, Image.Image]:
    return {
        "a": picture(("red", "circle", 0.25, 0.5), ("blue", "square", 0.75, 0.5)),
        "b": picture(("green", "triangle", 0.5, 0.22), ("yellow", "star", 0.53, 0.78), ground="#2b2b3a"),
        "c": picture(
            ("purple", "square", 0.15, 0.5),
            ("orange", "circle", 0.5, 0.5),
            ("black", "star", 0.85, 0.5),
            size=(800, 400),
        ),
        "d": picture(
            ("red", "circle", 0.2, 0.3), ("green", "cross", 0.5, 0.7), ("red", "circle", 0.8, 0.3), size=(500, 500)
        ),
        "e": picture(("red", "circle", 0.25, 0.5), ("green", "square", 0.75, 0.5)),
        "f": picture(("red", "circle", 0.25, 0.5)),
        "g": picture(("pink", "star", 0.8, 0.2), size=(400, 400), ground="#f5f5dc"),
        "h": picture(("brown", "cross", 0.3, 0.3), ("gray", "triangle", 0.7, 0.7), size=(400, 400)),
    }


def lines(text: str) -> tuple[Asked, ...]:
    """`pictures | question | words`, one to a line."""
    rows = [[part.strip() for part in line.split("|")] for line in text.strip().splitlines()]
    return tuple(Asked(pictures, question, tuple(words.split())) for pictures, question, words in rows)


CAPTIONS = lines("""
a | What is in this picture? | red circle blue square
b | can u describe this | green triangle yellow star
c | Give me a one sentence summary of the image | purple square orange circle black star
d | what do we have here? | red circle green cross
g | What's drawn on this canvas? | pink star
h | Describe the scene in plain English, please. | brown cross gray triangle
a | I uploaded an image. What does it look like? | red circle blue square
f | identify the object | red circle
b | Please describe what you can see on this image | green triangle yellow star
c | List everything that is visible. | purple square orange circle black star
g | pls caption | pink star
h | what objects are in the photo? | brown cross gray triangle
d | Tell me what this picture is of. | red circle green cross
f | Whats this? | red circle
""")
COUNTING = lines("""
a | how many shapes are in the image | 2
c | Count the objects please | 3
d | What's the total number of shapes shown here? | 3
g | how many things can you see in the picture? | 1
d | How many circles can you count? | 2 circles
d | how many red shapes? | 2 red
c | How many stars does the image contain? | 1 star
a | number of triangles? | no triangles
h | How many different objects do you see in the image? | 2
b | please tell me the number of shapes in the picture | 2
d | Count how many circles there are. | 2 circles
c | how many squares are visible in this image? | 1 square
""")
COLORS = lines("""
a | what color is the circle | red
b | The star is which color? | yellow
c | Can you tell me the square's color? | purple
g | colour of the star? | pink
h | What is the color of the cross in the image? | brown
h | what's the triangle's colour? | gray
c | Please tell me what color the star is. | black
d | Which color does the cross have? | green
e | whats the color of the square | green
f | What color is that circle? | red
""")
NAMED_SHAPES = lines("""
a | what shape is red | circle
a | What is the blue object? | square
b | which shape is green? | triangle
c | What is the shape of the orange object? | circle
g | What shape is the pink thing in the image? | star
h | Tell me the shape of the gray object. | triangle
d | what is the green thing? | cross
c | Which object is black? | star
h | the brown shape is what? | cross
b | What kind of shape is the yellow one? | star
""")
YES_NO = lines("""
a | Is there a red circle in the image? | yes
a | Is there a green circle? | no
b | does the picture contain a star? | yes
b | do you see any squares? | no
c | Is the circle orange? | yes
c | is the square green | no purple
d | Are there two circles in this picture? | yes
d | Are there any triangles? | no
h | Can you see something brown? | yes
h | is there anything blue in the picture? | no
g | Is the star pink? | yes
e | Is the square blue? | no green
""")
PLACES = lines("""
a | Is the circle left of the square? | yes left
a | Is the circle to the right of the square? | no
b | Is the triangle above the star? | yes above
b | Is the star above the triangle? | no
b | Where is the star relative to the triangle? | below
c | Where is the purple square compared to the orange circle? | left
c | where is the star in relation to the circle? | right
a | Where is the blue square relative to the red circle? | right
b | is the star below the triangle | yes below
g | Where is the star? | top right
c | is the orange circle to the left of the black star? | yes left
h | where's the cross? | top left
h | Where is the triangle? | bottom right
b | In which direction is the triangle from the star? | above
""")
PAIRS = lines("""
ae | What is different? | square blue green
ae | What changed between the two pictures? | square blue green
af | What's the difference between these images? | first blue square
fa | What is different in the second picture? | second blue square
aa | Are these two pictures the same? | same
ae | are the images identical? | no different
ae | Compare these two pictures | square blue green
aa | what differs? | same
gf | describe both pictures | pink star red circle
ga | How many shapes are in the second picture? | 2
""")
DECLINES = lines("""
a | Who is the president of France? | starter
a | write me a python script that sorts a list | starter
b | Is there a cat in the picture? | starter
 | what's the weather like today? | starter
 | Who won the world cup in 2014? | starter
c | What is the person on the left wearing? | starter
a | How do I bake bread? | starter
d | how many dogs are there | starter
 | Tell me a story about a brave knight. | starter
h | Translate this to Spanish | starter
 | 12 * 12 = ? | starter
g | When was this photo taken? | starter
a | ¿Cuál es la capital de España? | starter
 | What is in this picture? | not picture
 | describe the image | not picture
 | Which color is the circle? | not picture
 | hi | hello
 | what can you do? | shapes
a | Read the text in the image. | cannot read
g | what does it say | cannot read
 | Who are you? | starter
b | Is that a giraffe? | starter
 | thanks! | welcome
a | What is the meaning of life? | starter
""")
FRESH = lines("""
c | Hey! Mind telling me what's in here? | purple square orange circle black star
a | Which geometric figures show up in the attached file? | red circle blue square
g | In one line: what does the image depict? | pink star
h | What would you say is in this photo? | brown cross gray triangle
b | Give a textual description of the attached image, please. | green triangle yellow star
d | walk me through the picture | red circle green cross
f | So what is it that you see here? | red circle
e | What are the things in the picture and their colors? | red circle green square
c | Tell me the number of objects that are present in the image. | 3
d | How many items are on the canvas overall? | 3
b | how many shapes r there | 2
d | How many round things... I mean circles, are there? | 2 circles
e | Are there more than... no, just tell me how many squares there are. | 1 square
h | Number of shapes in total, please. | 2
a | Hi, which color does the square have in this picture? | blue
c | Might you know the colour of that circle? | orange
b | And what about the triangle, what color is it? | green
h | the cross - color? | brown
d | What colour was the cross painted in? | green
g | Tell me about the star's color. | pink
c | Which shape has been colored orange? | circle
a | Something is blue. What shape is that something? | square
b | name the green shape | triangle
h | What do you call the shape that is gray? | triangle
g | What's the pink figure called? | star
a | Would there be a blue square anywhere in the picture? | yes
c | I can't find a star. Is there one? | yes star
b | Is there by any chance a purple cross? | no
d | Do we have any squares in there? | no
e | Is the green one a square? | yes
h | Is the triangle gray or not? | yes
f | Is the circle blue? | no red
d | Are there exactly two circles in total? | yes 2
a | Seen from the square, is the circle on the left? | yes left
c | Is the star right of the circle? | yes right
b | Which one is higher: where is the triangle relative to the star? | above
h | Would you say that the cross is above the triangle? | yes above
c | what's to the left of the circle? | purple square
a | What is on the right side? | blue square
g | In which corner is the star? | top right
b | Is the star located under the triangle? | yes
ae | Spot what is different, please. | square blue green
ea | Something changed. What? | square green blue
af | Which shape is missing in the second image? | blue square
aa | Is there any difference at all? | no same
hg | Tell me what each of the two pictures shows. | brown cross gray triangle pink star
ga | Which picture contains a star? | first
d | Who is the most famous painter alive? | starter
 | Could you book me a table for two tonight? | starter
a | Do you see the elephant hiding behind the house? | starter
b | How tall is Mount Everest? | starter
 | My computer does not start. What can I do? | starter
 | Can you describe the photo I took yesterday? | not picture
g | What is the phone number on the sign? | cannot
 | good morning | hello
c | Please compose a short song about friendship. | starter
h | Quelle heure est-il ? | starter
 | What kinds of things are you able to help with? | shapes
""")
GROUPS = {
    "captions": CAPTIONS,
    "counting": COUNTING,
    "colors": COLORS,
    "shapes": NAMED_SHAPES,
    "yes/no": YES_NO,
    "places": PLACES,
    "two pictures": PAIRS,
    "declines": DECLINES,
    "fresh": FRESH,  # written later, and never looked at while training
}


def is_right(asked: Asked, answer: str) -> bool:
    text = answer.lower()
    return all((word[1:] not in text) if word[0] == "!" else (word in text) for word in asked.words)
