"""The ways people put each question: a small grammar, split into training and held-out phrasings.

`(a|b)` chooses, `[a|b]` may also be nothing, `<name>` is a macro, `{s}` a slot. Knows no answers.
"""

# ruff: noqa: E501  (a phrase reads best on one line)

from __future__ import annotations

import random
import re

MACROS = {
    "pic": "(picture|picture|picture|image|image|image|photo|drawing|pic|scene|illustration|graphic|sketch|artwork)",
    "this": "(the|the|this|this|that|my)",
    "in": "[ in (the|this) <pic>| in <this> <pic>| here| in it| in there| on the <pic>]",
    "color": "(color|color|colour)",
    "colors": "(colors|colors|colours)",
    "shape": "(shape|shape|shape|object|object|thing|figure|item|element|form)",
    "shapes": "(shapes|shapes|shapes|objects|objects|things|figures|items|elements|forms)",
    "tell": "(tell me|tell me|say|name|state|give me)",
    "rel": "(relative to|compared to|with respect to|in relation to|from)",
}

TRAIN: dict[str, tuple[str, ...]] = {
    "describe": (
        "(What is|What's|What do you see|What can you see|What can be seen|What is shown|What do we see) in <this> <pic>?",
        "What (is|'s) (in|on) (the|this) <pic>?",
        "(What do you see|What can you see|What is here|What's here|What is this|What's this|What is it|what is that)<in>?",
        "(Describe|Caption|Explain|Summarize|Label|Look at) (the|this|it|what you see|this <pic>|the <pic>|<this> <pic>).",
        "(Describe|Caption|Summarize) (this|the) <pic>[ in (one|a single|a short) sentence| briefly| for me| in detail| in a few words].",
        "(Describe|Tell me|Explain|Report|Say|Write) what (you see|you can see|is there|is visible|is shown)<in>.",
        "(Tell me|Say something|Talk to me|Talk) about (this|the) <pic>.",
        "What (does|do) <this> <pic> (show|contain|depict|have)?",
        "(Write|Give me|Give|Make|Create|Generate|Provide) a [short|brief|one-sentence|simple] (caption|description|summary|title)[ for <this> <pic>| of <this> <pic>| for it].",
        "What <shapes> (are there|are|do you see|can you see|are shown|are visible|does it have)<in>?",
        "(Name|List|Identify|Tell me|Enumerate|Give me) (the|all|all the|all of the|every|these) <shapes><in>.",
        "Which <shapes> (are there|do you see|can you see|are shown|are visible|can be seen)<in>?",
        "(Caption|Description|Describe|Caption this|Describe it|Describe this|Describe please|Caption please).",
        "What (is|'s) (visible|shown|drawn|depicted|displayed|present|going on|there)<in>?",
        "What am I looking at?",
        "What (kind of|sort of|type of) (<shapes>|<pic>) (is this|are these|are there|do you see)<in>?",
        "What (did I draw|have I drawn|was drawn)[ here]?",
        "Do you know what (this|it) is?",
        "Can you (see|recognize|describe) (it|this|this <pic>|anything|the <pic>)?",
        "What are (these|those|they|the <shapes>)<in>?",
        "What (do|can) (we|I|you|one) (see|find|notice|recognize|spot|observe|make out)<in>?",
        "What have I (drawn|uploaded|sent|made|painted|attached|shared)?",
        "What have you (found|seen|got)<in>?",
        "(I|We) (need|want|would like) a [short ](caption|summary|text|title|label) (for|of) <this> <pic>.",
        "(Help me|Let me|I want to) (understand|know) what (is|you see|it shows|there is)<in>.",
        "What (is|are) the contents? of <this> <pic>?",
        "How would you (describe|caption|summarize|explain) (<this> <pic>|it|this)?",
        "(Can|Could|Would|Will) you (describe|caption|explain|summarize|look at) (<this> <pic>|it|this|what you see)[ for me| please]?",
        "Describe (each|every|all the|the different|all) <shapes><in>.",
        "(Explain|Say|Describe|Mention|Note|Let me know) what <this> <pic> (is about|shows|has|contains|depicts).",
        "What is <this> <pic> (about|of|showing|made of|all about)?",
        "What is (being|to be) (shown|seen|displayed)<in>?",
        "What <shapes> and <colors> (do you see|are there|are in <this> <pic>|can you see)?",
        "(Which|What) <colored> <shapes> (do you see|are there|are on it|can I see|are drawn|are in <this> <pic>)?",
        "What does (it|this|that|this thing|the whole thing) (show|look like|contain|display|depict|mean)?",
        "(<pic> description|<pic> caption|Alt text|Alt text for <this> <pic>|Write alt text|Short caption|One sentence caption).",
        "(Say|Tell me|List|Write down) (everything|all|all things|what) (you see|there is|you can see|you notice|you find)<in>.",
        "I see <this> <pic>. What (is in it|is it|does it show)?",
        "(Anything|Something) to see<in>?",
        "What do you (think|believe) (this|it|<this> <pic>) (is|shows)?",
        "What (things|objects|shapes|figures) (make up|are part of|belong to|does one see in|can be found in) <this> <pic>?",
        "(Go ahead and|Now|First|Quickly|Just|Simply) (describe|caption|summarize) (it|this|<this> <pic>|what you see).",
    ),
    "count": (
        "How many <shapes> (are there|are|do you see|can you see|are shown|are visible|do you count|have been drawn|does it have)<in>?",
        "How many <shapes><in>?",
        "Count (the|all|all the|all of the|these|up the) <shapes><in>.",
        "(What is|What's|Tell me|Give me) the (number|total number|count|total|amount) of <shapes><in>.",
        "How many (are there|do you see|different <shapes> are there|<shapes> in total|in total)<in>?",
        "(Count them|How many|How many are there|Count|Count everything|Number of <shapes>)[ in total].",
        "<tell> how many <shapes> (there are|you see|you can see|are there)<in>.",
        "How many <shapes> does <this> <pic> (show|have|contain)?",
        "How many <colored> <shapes> (are there|are in <this> <pic>|do you see)?",
        "How many <colored> <shapes> (can you see|do I see|exist|can be seen|were drawn|are on the <pic>)<in>?",
        "(Do|Can) you (count|know how many) (the|these|all) <shapes>[ there are]?",
        "(I want to know|Let me know|Find out|Work out) how many <shapes> (there are|are there)<in>.",
        "(What|Which) is the (number|count|quantity) of (the |all |)<shapes> (you see|shown|drawn|<in>)?",
        "How many (separate|single|individual|distinct) <shapes> (are there|do you see)<in>?",
        "(Total|Shape count|Count of <shapes>|How many <shapes> total|The number of <shapes>)?",
    ),
    "count_shape": (
        "How many {p} (are there|are|do you see|can you see|are shown|are visible|do you count)<in>?",
        "How many {p}<in>?",
        "Count (the|all|all the|only the|just the) {p}<in>.",
        "(What is|What's|Tell me|Give me) the (number|count|total) of {p}<in>.",
        "<tell> how many {p} (there are|you see|are there)<in>.",
        "How many (of them|of the <shapes>|of these|<shapes>) are {p}<in>?",
        "How many {p} does <this> <pic> (show|have|contain)?",
        "(Number of {p}|And how many {p}|How many {p} in total)<in>?",
        "How many {p} (can you see|do I see|exist|can be seen|were drawn|are on the <pic>|have you found)<in>?",
        "(I want to know|Let me know|Find out) how many {p} (there are|are there)<in>.",
        "(Can|Could|Would) you (count|find) (all |all the |the |)(the |){p}<in>?",
        "({p}, how many|Count of {p}|Total {p}|The number of {p}|How often do you see {as})?",
        "Of the <shapes>, how many are {p}?",
    ),
    "count_color": (
        "How many {c} <shapes> (are there|are|do you see|can you see|are shown|do you count)<in>?",
        "How many {c} (<shapes>|ones)<in>?",
        "Count (the|all|all the|only the) {c} (<shapes>|ones)<in>.",
        "How many (<shapes>|of them|of the <shapes>|of these|are) (are {c}|{c})<in>?",
        "(What is|Tell me|Give me) the (number|count) of {c} <shapes><in>.",
        "<tell> how many {c} <shapes> (there are|you see|are there)<in>.",
        "How many <shapes> (have the <color> {c}|are colored {c}|are painted {c})<in>?",
        "How many {c} <shapes> (can you see|exist|can be seen|were drawn|are on the <pic>|have you found)<in>?",
        "(I want to know|Let me know|Find out) how many <shapes> are {c}.",
        "(Can|Could) you count (all |all the |the |){c} <shapes>?",
        "(How many in {c}|Count of {c} <shapes>|Total {c} <shapes>|{c} <shapes>, how many)?",
        "Of the <shapes>, how many are {c}?",
    ),
    "color": (
        "What <color> (is|'s) (the|this) {s}<in>?",
        "(What is|What's) the <color> of (the|this) {s}<in>?",
        "Which <color> (is|does) the {s}[ have]<in>?",
        "Which <color> (is|has) the {s}<in>?",
        "<tell> the <color> of the {s}<in>.",
        "(What|Which) <color> does the {s} have<in>?",
        "(In what|In which|What) <color> is the {s} (drawn|painted|shown|filled)<in>?",
        "The {s}: (what|which) <color>?",
        "(Name|Identify|Find) the <color> of the {s}<in>.",
        "(<color> of the {s}|the {s}'s <color>|{s} <color>)?",
        "What is the {s}'s <color>?",
        "(Do you know|Can you see) (what|which) <color> the {s} is?",
        "<tell> (what|which) <color> the {s} (is|has)<in>.",
        "How is the {s} colored<in>?",
        "(Say|Write|Give) the <color> of the {s}<in>.",
        "What <color> (would you say|do you think|was|did I paint|did they use for|has been used for) the {s}( is|)<in>?",
        "(I am curious|Let me know|I wonder|I forgot): (what|which) <color> (is|has) the {s}?",
        "(Find|See|Look at) the {s}. (What|Which) <color> is it?",
        "There is a {s}. (What|Which) <color> (is it|does it have)?",
        "The {s} has (what|which) <color>?",
        "(What|Which) (is the|) <color> (is |)(the|) {s}?",
        "(Can|Could) you (tell|see|say) the <color> of the {s}<in>?",
        "What's the <color> of that {s}, please?",
    ),
    "shape": (
        "(What|Which) <shape> (is|'s) {c}<in>?",
        "(What is|What's) the {c} <shape><in>?",
        "(What|Which) shape (is|does) the {c} (one|<shape>)[ have]<in>?",
        "(What|Which) {c} <shape> (is there|do you see|is it|can you see)<in>?",
        "(What is|What's|Which is) the (shape|form) of the {c} (one|<shape>|thing)<in>?",
        "<tell> the (shape|form) of the {c} (one|<shape>)<in>.",
        "<tell> (what|which) (shape|form) the {c} (one|<shape>) (is|has)<in>.",
        "(Name|Identify) the {c} <shape><in>.",
        "(What|Which) (one|of the shapes|of them) is {c}<in>?",
        "What is {c}<in>?",
        "(What kind of|What type of|What sort of) shape is (the {c} one|the {c} <shape>|{c})<in>?",
        "The {c} (one|<shape>): (what|which) shape[ is it]?",
        "What (does|did) the {c} <shape> look like?",
        "(The|And the) {c} <shape> is (what|which) shape?",
        "There is something {c}. (What|Which) shape is it?",
        "(Say|Write|Give|Describe) the shape of the {c} (one|<shape>)<in>.",
        "(Find|See|Look at) the {c} (one|<shape>). (What|Which) shape is it?",
        "(What|Which) <shape> (was painted|was drawn|is colored|is painted|is drawn|did I draw) (in |){c}<in>?",
        "(What|Which) (geometric |)shape (is|has the <color>) (in |){c}?",
        "The {c} (one|<shape>) is (a|what)?",
        "(I am curious|Let me know|I wonder): (what|which) shape is {c}?",
        "(Is the {c} <shape> a circle, a square or something else|What form has the {c} <shape>)?",
        "(Can|Could) you (tell|see|say) (what|which) shape is {c}?",
    ),
    "colors": (
        "(What|Which) <colors> (are there|do you see|can you see|are shown|are used|are visible|are present|does it have)<in>?",
        "(Name|List|Tell me|Identify|Give me) (the|all|all the|all of the) <colors><in>.",
        "(What are|Which are|Tell me) the <colors>[ of the <shapes>]<in>?",
        "(What|Which) <colors> (are|do) the <shapes>[ have]<in>?",
        "What <colors> (does|did) (the|this) <pic> (have|contain|show|use)?",
        "(Colors|Which colors|What colors|List colors)?",
        "(What|Which) <colors> (can be seen|were used|exist|are in it|make up <this> <pic>|occur)<in>?",
        "(Can you|Could you|Please) (name|list) (the|all) <colors><in>?",
        "How would you describe the <colors>?",
        "The <colors>, please.",
    ),
    "exist": (
        "Is there {a}<in>?",
        "(Do you see|Can you see|Can you find|Do you find|Did you find) {a}<in>?",
        "(Does|Do) <this> <pic> (show|contain|have|include) {a}?",
        "Is {a} (in <this> <pic>|here|there|shown|visible|present|in it)?",
        "(Is there any|Can you spot {a}, yes or no, is there any) {cs}<in>?",
        "(Tell me|Check|See|Say) (if|whether) there is {a}<in>.",
        "(Yes or no|True or false): (is there|there is|do you see) {a}<in>?",
        "(Any {cs}|{a}|Is {a} there|There is {a}, right)<in>?",
        "Are there any {cp}<in>?",
        "(Have you|Did you) (found|find|see|seen|notice|spot) {a}<in>?",
        "(I think|I believe|I guess) there is {a}. (Right|Correct|Am I right|Is that true)?",
        "(Can|Could) (you|I|one) (see|find|spot) {a} (anywhere|somewhere|at all|)<in>?",
        "Is one of (the|these|them|the <shapes>) {a}?",
        "(Show|Tell) me if (you see|there is) {a}.",
        "Is it true that there is {a}<in>?",
        "Is {a} (part of|among|one of) (the|these|<this>) (<shapes>|<pic>)?",
    ),
    "exist_shape": (
        "Is there {as}<in>?",
        "(Do you see|Can you see|Can you find|Do you find) (any {p}|{as})<in>?",
        "Are there (any |some |){p}<in>?",
        "(Does|Do) <this> <pic> (show|contain|have|include) (any {p}|{as}|{p})?",
        "Is any (of them|of the shapes|of these|shape) {as}<in>?",
        "(Yes or no|True or false): (is there|do you see) {as}<in>?",
        "(Tell me|Check|See) (if|whether) there (is {as}|are {p})<in>.",
        "(Any {p}|{as}|Is one of them {as})<in>?",
        "(Have you|Did you) (found|find|see|seen|notice|spot) (any {p}|{as})<in>?",
        "Is there (at least one|some|any|a single) {s}<in>?",
        "Is one of (the|these|them|the <shapes>) {as}?",
        "Is it true that there (is {as}|are {p})<in>?",
    ),
    "exist_color": (
        "Is there (anything|something) {c}<in>?",
        "(Is any|Is one) (of them|of the shapes|<shape>|of these) {c}<in>?",
        "Is there {ac} (<shape>|one)<in>?",
        "(Do you see|Can you see|Can you find) (anything|something) {c}<in>?",
        "(Do you see|Can you see|Can you find) {ac} <shape><in>?",
        "(Does|Do) <this> <pic> (have|contain|show) (anything|something) {c}?",
        "Are (there any {c} <shapes>|any of the <shapes> {c}|any {c})<in>?",
        "(Anything|Something|Any) {c}<in>?",
        "Is {c} (used|present|one of the colors|there)<in>?",
        "(Have you|Did you) (found|find|see|seen|notice|spot) (anything|something) {c}<in>?",
        "Is there (at least one|some|any|a single) {c} <shape><in>?",
        "Is one of (the|these|them|the <shapes>) {c}?",
        "Is it true that there is (something|anything) {c}<in>?",
    ),
    "is_color": (
        "Is the {s} {c}<in>?",
        "(Is|Does) the {s} (colored|painted|drawn in|of the color|have the color) {c}<in>?",
        "Is the <color> of the {s} {c}<in>?",
        "(Yes or no|True or false): (is the {s} {c}|the {s} is {c})?",
        "The {s} is {c}, (right|isn't it|correct|true or false|yes or no)?",
        "(Would you say|Do you think|Can you confirm|Check if|Tell me if) the {s} is {c}<in>?",
        "Is it true that the {s} is {c}<in>?",
        "Is (that|this) {s} {c}?",
        "(I think|I believe|I guess) the {s} is {c}. (Right|Correct|Am I right|Is that true)?",
        "(Has|Was) the {s} (been |)(painted|colored|drawn in|drawn) {c}<in>?",
        "(Is that|Is it) {c}, the {s}?",
        "Did I (paint|draw|color) the {s} {c}?",
    ),
    "is_count": (
        "Are there {n} {p}<in>?",
        "Are there (exactly|just|only) {n} {p}<in>?",
        "(Do you see|Can you see|Does it have|Do you count) {n} {p}<in>?",
        "(Does|Do) <this> <pic> (show|contain|have) {n} {p}?",
        "Is it true that there are {n} {p}<in>?",
        "There are {n} {p}, (right|aren't there|correct|true or false)?",
        "(Yes or no|True or false): are there {n} {p}<in>?",
        "(I think|I believe|I count) (there are |){n} {p}. (Right|Correct|Am I right|Is that true)?",
        "(Have you|Did you) (found|find|see|seen|count) {n} {p}<in>?",
        "Is the number of {p} {n}?",
        "{n} {p}, (right|correct|is that right)?",
    ),
    "relation": (
        "Where is the {A} <rel> the {B}<in>?",
        "Where (is|'s) the {A} (placed|located|positioned) <rel> the {B}<in>?",
        "(What|Which) side of the {B} is the {A} on<in>?",
        "On (what|which) side of the {B} is the {A}<in>?",
        "Is the {A} left or right, above or below the {B}<in>?",
        "(Is the {A}|The {A} is) (left of|to the left of) or (right of|to the right of) the {B}<in>?",
        "Is the {A} above or below the {B}<in>?",
        "(What is|What's) the position of the {A} <rel> the {B}<in>?",
        "<tell> where the {A} is <rel> the {B}<in>.",
        "How is the {A} (placed|positioned|located) <rel> the {B}<in>?",
        "(In which|In what|Which|What) direction is the {A} <rel> the {B}<in>?",
        "Where would I find the {A} <rel> the {B}?",
        "Compare the (positions|places) of the {A} and the {B}.",
        "Where is the {A}, seen from the {B}?",
        "Looking from the {B}, where is the {A}?",
        "(I want to know|Let me know|Find out) where the {A} is <rel> the {B}.",
        "(If I look from the {B}|Starting at the {B}|From the {B}), where is the {A}?",
        "Where is the {A}: left, right, above or below the {B}?",
        "Where (does|do) the {A} (lie|sit|stand) <rel> the {B}?",
        "(Describe|State|Give) the (position|place|location) of the {A} <rel> the {B}.",
        "Which way is the {A} from the {B}?",
        "(Can|Could) you (tell|say|see) where the {A} is <rel> the {B}?",
        "What is the spatial relation (of|between) the {A} (to|and) the {B}?",
    ),
    "is_relation": (
        "Is the {A} (to the |on the |){r} the {B}<in>?",
        "Is the {A} {r} the {B}<in>?",
        "Is the {A} (placed|located|positioned|drawn) {r} the {B}<in>?",
        "(Yes or no|True or false): (is the {A}|the {A} is) {r} the {B}?",
        "The {A} is {r} the {B}, (right|correct|isn't it|true or false)?",
        "(Do you see|Can you see|Do you find) the {A} {r} the {B}<in>?",
        "Is it true that the {A} is {r} the {B}<in>?",
        "(Tell me|Check) (if|whether) the {A} is {r} the {B}<in>.",
        "(I think|I believe) the {A} is {r} the {B}. (Right|Correct|Am I right|Is that true)?",
        "(Does|Is) the {A} (lie|lying|sit|sitting|stand|standing) {r} the {B}<in>?",
        "(Is it|Is it right) that the {A} is {r} the {B}?",
        "(Have you|Did you) (seen|see|find) the {A} {r} the {B}?",
    ),
    "place": (
        "Where is the {A}<in>?",
        "Where (is|'s) the {A} (placed|located|positioned|drawn)<in>?",
        "(Where in|In which part of|In what part of|In which corner of|On which side of) <this> <pic> is the {A}?",
        "(Where do you see|Where can you see|Where can I find|Where did you find|Where do I find) the {A}<in>?",
        "(What is|What's|Tell me|Give me) the (position|location|place) of the {A}<in>.",
        "<tell> where the {A} is<in>.",
        "(Find|Locate) the {A}<in>.",
        "(I want to know|Let me know|Find out) where the {A} is<in>.",
        "(Point to|Look for|Search for|Describe the position of|Give the location of) the {A}<in>.",
        "Where (does|did) the {A} (lie|sit|stand|appear|go)<in>?",
        "(Can|Could) you (tell|say|see|find) where the {A} is<in>?",
        "Is the {A} at the top, the bottom, left or right<in>?",
        "Where did I (put|draw|place|paint) the {A}?",
    ),
    "beside": (
        "(What|Which <shape>) is {r} the {B}<in>?",
        "(What <shape>|Which one) is {r} the {B}<in>?",
        "(What do you see|What can you see|What is there|What can I find) {r} the {B}<in>?",
        "(Name|Tell me) (the <shape>|what is) {r} the {B}<in>.",
        "(What is|What's) (the <shape>|placed|located|drawn|the thing) {r} the {B}<in>?",
        "Is there (anything|something) {r} the {B}<in>?",
        "(I want to know|Let me know|Find out) what is {r} the {B}.",
        "(Look|See) {r} the {B}. What (is there|do you see)?",
        "What (lies|stands|sits|comes|was drawn) {r} the {B}<in>?",
        "(What|Which) <color> is the <shape> {r} the {B}<in>?",
        "(What|Which) shape is {r} the {B}<in>?",
        "(Tell me|What is|Name) the <color> of the <shape> {r} the {B}.",
        "(What|Which <shape>) do you (see|find|notice) {r} the {B}<in>?",
        "{r} the {B}, what is there?",
    ),
    "extreme": (
        "(What|Which <shape>|What <shape>) is (the {e}|on the {e}|{e})<in>?",
        "(What|Which) is the {e}most <shape><in>?",
        "(What|Which) <shape> is (the {e}most|{e}most|farthest to the {e}|at the {e}|on the {e} side)<in>?",
        "(What do you see|What is|What's) (on the {e}|at the {e}|on the {e} side)<in>?",
        "(Name|Tell me|Identify|Describe) the ({e}most|{e}) <shape><in>.",
        "(Describe|Tell me) what is (on the {e}|at the {e})<in>.",
        "(I want to know|Let me know|Find out) (what|which <shape>) is (on the {e}|at the {e}|the {e}most).",
        "(What|Which) <shape> (lies|stands|sits|is placed|was drawn) (on the {e}|at the {e}|furthest {e})<in>?",
        "(What|Which) <color> is the {e}most <shape><in>?",
        "(What|Which) <color> (is|has) the <shape> (on|at) the {e}<in>?",
        "(Tell me|What is|Name) the <color> of the (<shape> (on|at) the {e}|{e}most <shape>)<in>?",
        "(What|Which) shape is (on|at) the {e}<in>?",
        "(What|Which) (kind of shape|form|shape) is the {e}most (one|<shape>)<in>?",
    ),
    "is_shape": (
        "Is the {c} (one|<shape>|shape) {as}<in>?",
        "(Would you say|Do you think|Can you confirm|Check if|Tell me if) the {c} (one|<shape>) is {as}<in>?",
        "(Yes or no|True or false): (is the {c} <shape> {as}|the {c} <shape> is {as})?",
        "The {c} (one|<shape>) is {as}, (right|isn't it|correct|true or false|yes or no)?",
        "Is it true that the {c} <shape> is {as}<in>?",
        "(Does|Do) the {c} <shape> (look like|have the shape of|have the form of) {as}?",
        "Is (that|this) {c} (one|<shape>) {as}?",
        "(I think|I believe|I guess) the {c} <shape> is {as}. (Right|Correct|Am I right)?",
        "(Does|Did) the {c} (one|<shape>) (seem|appear|turn out) to be {as}?",
        "(Could|May|Might|Should) the {c} (one|<shape>) be {as}?",
        "(Has|Have) the {c} <shape> got the (shape|form) of {as}?",
        "(Look at|See) the {c} (one|<shape>). Is it {as}?",
        "(Is it|Are we sure it is) {as} that is {c}?",
        "(See|Say|Let me know) (if|whether) the {c} (one|<shape>) is {as}<in>.",
    ),
    "is_one": (
        "Is there (only|just|exactly) one {s}<in>?",
        "(Do you see|Can you see|Does it have) (only|just|exactly) one {s}<in>?",
        "Is there (one|1|a single) {s}[ only]<in>?",
        "Is there more than one {s}<in>?",
        "There is (only one|just one|one) {s}, (right|correct|true or false)?",
    ),
    "all_same": (
        "(Are|Do you think) all (the |of the |)<shapes> [are ](of |)the same <color><in>?",
        "Do (all|all the|all of the|the) <shapes> have the same <color><in>?",
        "(Are|Is) (they all|everything|all of them|all shapes) (the same <color>|one <color>|equally colored)?",
        "Is there (only|just) one <color><in>?",
        "Do the <shapes> (have different <colors>|differ in <color>)?",
    ),
    "is_background": (
        "Is the background {c}<in>?",
        "Is the <color> of the background {c}?",
        "(Does|Do) <this> <pic> have {ac} background?",
        "(Yes or no|True or false): is the background {c}?",
        "The background is {c}, (right|correct|isn't it)?",
        "(Tell me|Check|See|Say|Let me know) (if|whether) the background is {c}<in>.",
        "(Would you say|Do you think|Is it true that) the background is {c}?",
        "(I think|I believe|I guess) the background is {c}. (Right|Correct|Am I right)?",
        "(Is|Was) <this> <pic> drawn on {c}?",
        "Is it {c} behind the <shapes>?",
    ),
    "background": (
        "(What|Which) <color> (is|'s|has) the background<in>?",
        "(What is|What's|Tell me) the <color> of the background<in>?",
        "(What is|What's|Tell me) the background <color><in>?",
        "What (background|<color> background) (does it have|is there)<in>?",
        "On (what|which) <color> (are the <shapes> drawn|is it drawn)?",
        "Describe the background.",
        "What is behind the <shapes>, which <color>?",
        "(Say|Give|State) the <color> of the background<in>.",
        "(What|Which) <color> (do you see behind|lies behind|is behind) (the <shapes>|everything)<in>?",
        "(The|Its) background <color>?",
    ),
    "read": (
        "(What does it say|What does this say|What does the text say|What does <this> <pic> say|What does it read|What is it saying)?",
        "(Read|Read out|Transcribe|Copy|Extract|Type out|Tell me|Recognize|Show me) (the|this|all|all the|any) (text|word|words|number|writing|letters|sign|label|digits|sentence)<in>.",
        "(What is|What's) (written|printed|the text|the word|the number|the writing|the sentence|spelled)<in>?",
        "(What|Which) (text|word|words|number|letters|letter|digits|numbers|sentence) (is|are|do you see|can you see|is there|are there|is written|is shown)<in>?",
        "(Can|Could) you read (this|it|the text|the word|what it says|what is written)<in>?",
        "(Read it|Read this|OCR|ocr this|Do OCR|Transcribe it|Transcribe this|Read this to me|read aloud).",
        "(Is there|Do you see|Can you see) (any text|a word|text|some text|writing|any writing|a number|any words|letters)<in>?",
        "What (number|word|letter|text) is (this|it|that)?",
        "What does the (sign|label|word|title|headline|caption|line|heading) say?",
        "(Is|Are) there (something|anything|a text|words|any text) (written|printed|to read)<in>?",
        "(I want to know|Let me know) what (it says|is written|the text says)<in>.",
        "(What|Which) (letters|words|numbers|characters|digits) (can you|do you) (read|see|recognize)<in>?",
        "(Please|Now|Just) read (it|this|the text|the words|the number|the letters)[ aloud| out| to me].",
        "(Write down|Give me|Type|Repeat) (the text|the words|the number|what is written|what it says)<in>.",
        "What do the (letters|words|characters|numbers) say?",
    ),
    "differ": (
        "(What is|What's) (different|the difference|changed|not the same|new)[ (between|in) (the|these|both|the two|these two) <pic>s]?",
        "(What|Which thing) (changed|has changed|did change|differs|is different|was changed)[ (between|in|from) (the|these|both|the two|these two|one <pic> to the other) <pic>s]?",
        "(Compare|Contrast) (the|these|both|the two|these two|my) <pic>s.",
        "(Compare|Compare them|Find the difference|Spot the difference|Tell the difference|Differences|What differs).",
        "(How|In what way|In what) (do|are) (the|these|both|the two|they|these two) (<pic>s |)(differ|different)?",
        "(What are|Tell me|Describe|Explain|List|Name|Find|Show me|Identify) the (difference|differences|change|changes)[ between (them|the <pic>s|the two <pic>s|these <pic>s|both <pic>s|the first and the second <pic>)].",
        "What (is|has) (different|changed) (in|with) the second <pic>[ compared to the first]?",
        "(What|Anything|What has) (changed|different) from the first to the second[ <pic>]?",
        "How (did|does) the second <pic> (differ|change)[ from the first]?",
        "How is the second <pic> different from the first[ <pic>| one]?",
        "(Say|Tell me) what (differs|changed|is different)[ between them].",
        "What changed?",
        "(I want to know|Let me know|Find out) what (changed|is different|differs|has changed).",
        "(Look at|See) (both|the two|these two) <pic>s. What (changed|is different|is the difference)?",
        "(Which|What) <shape> (changed|is different|has changed|is not the same)?",
        "(Can|Could) you (find|spot|see|name|describe) the (difference|change|differences)[ between them]?",
        "(Here are two <pic>s|I have two <pic>s|Two <pic>s). (What changed|What is different|How do they differ|Compare them)?",
        "What did I (change|alter|modify|edit)[ in the second <pic>]?",
        "(Difference|The difference|Changes|Compare both|Compare the two|Please compare).",
        "What (makes|made) (them|the two|the <pic>s|these two <pic>s|one <pic>) (different|differ) from (each other|the other|one another)?",
        "(In what|In which) (way|ways|respect|respects) are (they|the <pic>s|these two|both) (different from|unlike) (each other|one another)?",
        "(Where|In what|By what) do (they|these|both|the two) [<pic>s ](differ|disagree|part)[ from each other]?",
        "(How|Why) are (these two|they|both <pic>s) not the same as each other?",
        "(Between|From) the first (and|to) the second <pic>, what (changed|is different|differs)?",
        "(How|In what way|In which way|In what respect) do (they|the|both|these|the two|these two) (<pic>s |)differ[ from one another]?",
        "(How|In what way) (are|is) (they|the <pic>s|both <pic>s|these two <pic>s|one <pic>) (different|unlike|not alike)[ from (one another|the other)]?",
        "(What|Tell me what) (makes|made) (the|these|both|the two) <pic>s (different|differ)?",
        "(What|Which change) (was|has been|did I) (made|done|make|do) (in|to) the second <pic>?",
        "(What|Which <shape>) (is|was|has been) (missing|added|removed|replaced|new) (in|from) the (second|first) <pic>?",
    ),
    "same": (
        "(Are|Do you think) (the|these|both|the two|these two) <pic>s [are ](the same|identical|equal|alike)?",
        "(Are they|Is it|Are these|Are both) (the same|identical|equal)[ <pic>s]?",
        "Do (the|these|both|the two) <pic>s (show the same|look the same|match|look identical|show the same thing)?",
        "(Is there|Do you see|Can you see) (any|a) difference[ between (them|the <pic>s|the two <pic>s)]?",
        "(Are|Is) (the|these|the two) <pic>s different[ from each other]?",
        "(Did|Has) (anything|something) (change|changed)[ between the <pic>s]?",
        "(Same or different|Same or not|Identical|The same)?",
        "Is the second <pic> the same as the first[ one]?",
        "(Tell me|Check|Say) (if|whether) the <pic>s are (the same|different|identical).",
        "(Can|Could) you (see|find|spot) (any|a) (difference|change)s?[ between them]?",
        "(I think|I believe) the <pic>s are (the same|identical). (Right|Correct|Am I right)?",
        "(Show|Do) both <pic>s (show |)the same (thing|things|shapes|scene)?",
        "(Two equal <pic>s|Any difference|Any change|Any changes|Any differences|No difference)?",
    ),
    "pair_describe": (
        "(Describe|Caption|Summarize) (both|the two|these two|these|the|both of these|each of the) <pic>s.",
        "What (do you see|can you see|is|is shown) in (both|the two|these two|these|each of the|the) <pic>s?",
        "What do (the|these|both|the two) <pic>s (show|contain)?",
        "(Describe|Caption) (both|each|each one|each <pic>|them|the first and the second <pic>|both please).",
        "What (is|'s) in each <pic>?",
        "(Tell me|Say) what (is in|you see in) (both|each|each of the) <pic>[s].",
        "(Can|Could) you (describe|caption|summarize) (both|the two|these|both of the) <pic>s?",
        "What (is|do you see) (in|on) the first and (in |on |)the second <pic>?",
        "(Here are two <pic>s|I have two <pic>s). (Describe them|What do they show|Caption them|Describe both).",
    ),
    "pair_one": (
        "(Describe|Caption) (only |just |)the {o} <pic>.",
        "What (is|'s|do you see|can you see) in the {o} <pic>?",
        "What does the {o} <pic> (show|contain)?",
        "(Describe|Tell me about|Tell me what is in|Say what is in) the {o} (one|<pic>).",
        "(Can|Could) you (describe|caption) the {o} (one|<pic>)[ only]?",
        "(And|Now) (what is in|describe) the {o} (one|<pic>)?",
        "The {o} <pic>: what (is in it|do you see)?",
        "What <shapes> (are|do you see) in the {o} (one|<pic>)?",
    ),
    "pair_count": (
        "How many <shapes> (are|are there|do you see|can you see) in the {o} <pic>?",
        "Count the <shapes> in the {o} <pic>.",
        "How many <shapes> does the {o} <pic> (have|show|contain)?",
        "In the {o} <pic>, how many <shapes> are there?",
        "How many <shapes> in the {o} (one|<pic>)?",
        "(Give|Say|Tell me) the number of <shapes> in the {o} (one|<pic>).",
    ),
    "pair_color": (
        "(What|Which) <color> is the {s} in the {o} <pic>?",
        "(What is|Tell me|What's) the <color> of the {s} in the {o} <pic>?",
        "In the {o} <pic>, what <color> is the {s}?",
        "(What|Which) <color> does the {s} have in the {o} (one|<pic>)?",
        "The {s} in the {o} <pic> has (what|which) <color>?",
        "(Say|Give|Name) the <color> of the {s} in the {o} (one|<pic>).",
    ),
    "pair_which": (
        "(Which|What) <pic> (has|contains|shows|includes) {a}?",
        "In which (<pic>|one|of the <pic>s) (is there|do you see|can you see) {a}?",
        "(Which one|Which|Which of the <pic>s|Which of them) (has|contains|shows) {a}?",
        "(Is|Do you see|Is there) {a} in the first or (in |)the second <pic>?",
        "Where is (there |){a}, in the first or the second <pic>?",
        "(Say|Tell me|Find) which <pic> (has|shows|contains) {a}.",
        "Does the first or the second <pic> (have|show|contain) {a}?",
    ),
}

HELD: dict[str, tuple[str, ...]] = {
    "describe": (
        "Please provide a caption describing <this> <pic>.",
        "What objects appear in this <pic>?",
        "Could you describe for me what the <pic> shows?",
        "So, what have we got here?",
        "Which things does the <pic> include?",
        "I'd like a description of the <pic>.",
        "What exactly is on the <pic>?",
        "Name everything you see.",
    ),
    "count": (
        "How many shapes appear in the <pic>?",
        "What number of shapes do you see?",
        "Could you count how many objects are there?",
        "Please count the figures for me.",
        "In this <pic>, how many objects are there?",
        "How many shapes did I draw?",
    ),
    "count_shape": (
        "How many {p} appear in the <pic>?",
        "In this <pic>, how many {p} are there?",
        "Could you count the {p} for me?",
        "What number of {p} do you see?",
        "How many {p} did I draw?",
    ),
    "count_color": (
        "How many {c} shapes appear in the <pic>?",
        "In this <pic>, how many {c} objects are there?",
        "Could you count the {c} shapes for me?",
        "How many of the things you see are {c}?",
    ),
    "color": (
        "The {s} in the <pic>, what <color> is it?",
        "In this <pic>, what <color> is the {s}?",
        "What's the {s}'s <color>?",
        "Please name the <color> of the {s}.",
        "Which <color> was used for the {s}?",
        "I want to know the <color> of the {s}.",
    ),
    "shape": (
        "The {c} object in the <pic>, what shape is it?",
        "In this <pic>, which shape is {c}?",
        "Please name the shape that is {c}.",
        "Which of the shapes is the {c} one?",
        "What shape has the <color> {c}?",
        "What is that {c} thing?",
    ),
    "colors": (
        "What <colors> appear in the <pic>?",
        "Please list every <color> you see.",
        "Which <colors> did I use?",
    ),
    "exist": (
        "Does {a} appear in the <pic>?",
        "Could you tell me if you see {a}?",
        "I am looking for {a}. Is it there?",
        "Have I drawn {a}?",
        "In this <pic>, is there {a}?",
    ),
    "exist_shape": (
        "Does {as} appear in the <pic>?",
        "In this <pic>, are there any {p}?",
        "Could you tell me if you see {as}?",
    ),
    "exist_color": (
        "Does anything {c} appear in the <pic>?",
        "In this <pic>, is anything {c}?",
        "Could you tell me if any shape is {c}?",
    ),
    "is_color": (
        "Could you tell me if the {s} is {c}?",
        "In this <pic>, is the {s} {c}?",
        "Does the {s} look {c}?",
    ),
    "is_count": (
        "In this <pic>, are there {n} {p}?",
        "Could you tell me if there are {n} {p}?",
        "Would you say there are {n} {p}?",
    ),
    "relation": (
        "In this <pic>, where is the {A} relative to the {B}?",
        "Could you tell me where the {A} is compared to the {B}?",
        "What is the {A}'s position relative to the {B}?",
        "Relative to the {B}, where is the {A}?",
    ),
    "is_relation": (
        "In this <pic>, is the {A} {r} the {B}?",
        "Could you tell me if the {A} is {r} the {B}?",
        "Would you say the {A} is {r} the {B}?",
    ),
    "place": (
        "In this <pic>, where is the {A}?",
        "Could you tell me where the {A} is?",
        "Whereabouts is the {A}?",
    ),
    "beside": ("In this <pic>, what is {r} the {B}?", "Could you tell me what is {r} the {B}?"),
    "extreme": ("In this <pic>, which shape is the {e}most one?", "Could you tell me what is on the {e}?"),
    "is_shape": (
        "In this <pic>, is the {c} shape {as}?",
        "Could you tell me if the {c} one is {as}?",
        "Does the {c} thing happen to be {as}?",
    ),
    "is_one": ("In this <pic>, is there just one {s}?", "Could you tell me if there is only one {s}?"),
    "all_same": ("In this <pic>, are all the shapes the same <color>?", "Does every shape have the same <color>?"),
    "is_background": ("In this <pic>, is the background {c}?", "Could you tell me if the background is {c}?"),
    "background": ("In this <pic>, what <color> is the background?", "Please name the <color> behind the shapes."),
    "read": (
        "What text appears in the <pic>?",
        "Could you read what is written there?",
        "Which word is printed here?",
        "Please read the sign for me.",
        "Spell out the word in this <pic>.",
    ),
    "differ": (
        "What differences are there between the two <pic>s?",
        "Could you tell me what changed between the first and second <pic>?",
        "How do these two <pic>s differ from each other?",
        "What has been changed in the second one?",
    ),
    "same": ("Would you say both <pic>s are the same?", "Could you tell me if these <pic>s are identical?"),
    "pair_describe": ("Could you describe both <pic>s for me?", "Please caption the two <pic>s."),
    "pair_one": ("Could you describe the {o} <pic>?", "Which shapes are in the {o} <pic>?"),
    "pair_count": ("Could you count the shapes in the {o} <pic>?", "How many things appear in the {o} <pic>?"),
    "pair_color": (
        "Could you tell me the <color> of the {s} in the {o} <pic>?",
        "The {s} in the {o} <pic> is which <color>?",
    ),
    "pair_which": ("Could you tell me which <pic> has {a}?", "Which of the two <pic>s contains {a}?"),
}
MACROS["colored"] = "(colored|coloured|simple|geometric|drawn|different)"

SIDES = {
    "left of": ("left of", "to the left of", "on the left of", "on the left side of"),
    "right of": ("right of", "to the right of", "on the right of", "on the right side of"),
    "above": ("above", "over", "higher than", "on top of"),
    "below": ("below", "under", "lower than", "underneath", "beneath"),
}

BEFORE = (
    "Please ", "please ", "Can you tell me ", "Could you please tell me ", "Tell me, ", "Hey, ", "Hi! ", "Hello, ", "OK, ",
    "So, ", "Now ", "And ", "Look: ", "I wonder: ", "I would like to know: ", "Question: ", "Be honest: ", "Please tell me: ",
    "Quick question: ", "Look at the picture. ", "Look at this image. ", "Here is a picture. ", "Please answer: ", "Well, ",
    "I uploaded a picture. ", "I have a picture here. ", "This is my drawing. ", "See the attached image. ", "I drew this. ",
    "I need help: ", "My question: ", "Next question: ", "Just tell me ", "I'm curious, ", "First, ", "Then ", "Also, ", "Excuse me, ",
    "Kindly ", "Pls ", "Do you know ", "I forgot, ", "Sorry, ", "Given this image, ", "Looking at the picture, ", "About the picture: ",
    "Can you please ", "Could you ", "Would you ", "One more: ", "Thanks. ", "Great. ",
)  # fmt: skip
AFTER = (
    " please", ", please?", " Please.", " Answer in one word.", " Be brief.", " Answer briefly.", " Thanks.", " Thank you!",
    " Answer with one word.", " Use one sentence.", " Answer yes or no.", " Only the answer.", " Keep it short.", " I can't tell.", " Be precise.", " I'm not sure.", " thx", " in your opinion?", ", can you tell?", " right now?", " Explain.", " Reply shortly.",
    " Give a short answer.", " exactly?", " ok?", " then?", " for me?",
)  # fmt: skip

_INNER = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]")


def expand(rng: random.Random, template: str) -> str:
    """One random reading of a template; slots stay."""
    while "<" in template:
        template = re.sub(r"<(\w+)>", lambda match: MACROS[match.group(1)], template)
    while match := _INNER.search(template):
        if match.group(1) is not None:
            chosen = rng.choice(match.group(1).split("|"))
        else:
            chosen = rng.choice(match.group(2).split("|")) if rng.random() < 0.5 else ""
        template = template[: match.start()] + chosen + template[match.end() :]
    return template


def ask(rng: random.Random, skill: str, held: bool = False, **slots: str) -> str:
    """A question of this skill, in a training or a held-out phrasing."""
    template = rng.choice((HELD if held else TRAIN)[skill])
    question = expand(rng, template).format_map(slots).replace(" 's", "'s")
    return question if held else dressed(rng, question)


def dressed(rng: random.Random, question: str) -> str:
    """Politeness, sloppiness and typing mistakes."""
    question = question[0].upper() + question[1:]
    if rng.random() < 0.16:
        before = rng.choice(BEFORE)
        question = before + (question[0].lower() + question[1:] if before[-2:] not in (": ", "! ", ". ") else question)
    if rng.random() < 0.07:
        after = rng.choice(AFTER)
        question = (question.rstrip("?.") if after[1:] in ("please", " please?") else question) + after
    if rng.random() < 0.16:
        question = question.lower()
    elif rng.random() < 0.02:
        question = question.upper()
    if rng.random() < 0.2:
        question = question.rstrip("?.! ")
    elif rng.random() < 0.08:
        question = question.rstrip("?.! ") + rng.choice((".", "?", "??", "!", " ?"))
    if rng.random() < 0.05:
        question = mistyped(rng, question)
    if rng.random() < 0.06:
        question = casual(rng, question)
    return question


CASUAL = {
    "you": "u", "are": "r", "please": "pls", "Please": "pls", "What is": "whats", "what is": "whats", "What's": "whats",
    "is there": "is there actually", "many": "many exactly", "see": "really see", "picture": "pict", "image": "img",
    "the": "", "there": "there now", "What": "wat", "describe": "please describe", "Is": "Is it", "it": "this thing",
}  # fmt: skip


def casual(rng: random.Random, question: str) -> str:
    """Shortened or padded as in a chat."""
    known = [word for word in CASUAL if f" {word} " in f" {question} "]
    if not known:
        return question
    word = rng.choice(known)
    return " ".join(f" {question} ".replace(f" {word} ", f" {CASUAL[word]} ").split())


def mistyped(rng: random.Random, question: str) -> str:
    words = question.split(" ")
    long = [i for i, word in enumerate(words) if len(word) >= 5]
    if long:
        i = rng.choice(long)
        word, at = words[i], rng.randrange(1, len(words[i]) - 2)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[i] = rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))
    return " ".join(words)
