"""Chat templates of strangers: what they do with a conversation, the machine, and words that look special."""

from __future__ import annotations

import random
from pathlib import Path

from tests.conftest import draw
from tests.fuzz import ggufs
from tests.fuzz.case import Case, Limits, Ran
from tests.fuzz.damage import several

SPECIAL = tuple("<|im_start|> <|im_end|> <start_of_turn> <end_of_turn> [INST] [/INST] </s> <s> <|eot_id|>".split())
TURN = (
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}",
    "{{ m.role }}: {{ m.content }}\n",
    "{% if m['role'] == 'user' %}[INST] {{ m['content'] | trim }} [/INST]{% else %}{{ m['content'] }}</s>{% endif %}",
    "{{ m['content'].split('</think>')[-1] }}",
    "{{ m['content'][:20] }}",
    "{{ m['content'][5:] }}",
    "{{ m['content'] | reverse }}",
    "{{ m['content'] | upper }}",
    "{{ m['content'] | replace('e', 'E') }}",
    "{{ m['content'] | tojson }}",
    "{{ m['content'] | escape }}",
    "{{ m['content'] }}{{ m['content'] }}",
    "{{ m['content'] | wordwrap(10) }}",
    "{{ m['content'] | truncate(30) }}",
    "{{ m['content'] | list | join(' ') }}",
    "{% for part in m['content'] %}{{ part['text'] if part is mapping else part }}{% endfor %}",
    "{{ m['content'].strip().split('\\n') | join(' | ') }}",
    "{{ m['content'] | center(4000) }}",
    "{{ m }}",
    "{{ m | tojson }}",
    "",
)
# What no conversation needs, and a file from a stranger may hold.
HARM = (
    "{{ 1 // 0 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 'a' * 10000000000 }}",
    "{% set x = [0] * 2000000000 %}",
    "{{ 'a'.center(9000000000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ range(1000000000) | list | length }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% set n = namespace(x='aaaaaaaaaa') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{{ lipsum(n=100000) }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.append({'role': 'user', 'content': 'x'}) }}",
    "{{ messages.clear() }}",
    "{% include 'other' %}",
    "{% extends 'other' %}",
    "{% import 'other' as o %}",
    "{{ raise_exception('only this: \x1b[2J') }}",
    "{{ raise_exception() }}",
    "{{ raise_exception(messages) }}",
    "{{ strftime_now('%d %b %Y') }}",
    "{{ strftime_now('%' * 100000) }}",
    "{{ strftime_now(None) }}",
    "{{ strftime_now('\ud800') }}",
    "{{ undefined_name.more }}",
    "{{ tools.x }}",
    "{% if tools is not none %}{{ tools | tojson }}{% endif %}",
    "{{ messages | tojson(indent=100000000) }}",
    "{{ messages | map(attribute='content.x.y') | list }}",
    "{{ messages | sort(attribute='role') | first }}",
    "{{ messages | groupby('role') }}",
    "{{ messages[99] }}{{ messages[99].content }}",
    "{{ messages[-1]['content'] * 1000000 }}",
    "{{ (1, 2)[5] }}",
    "{{ {}['x'] }}",
    "{{ none.x }}",
    "{{ [1] | sum(start='a') }}",
    "{{ 'a' | int + 'b' }}",
    "{{ 'x' | attr('__class__') }}",
    "{{ dict(a=1) | dictsort | batch(0) | list }}",
    "{{ range(10) | slice(0) | list }}",
    "{{ 'a' | indent(10000000000) }}",
    "{{ '\x00\x1b]0;owned\x07' }}",
    "{% break %}",
    "{% generation %}x{% endgeneration %}",
    "{%- for m in messages -%}{{ loop(messages) }}{%- endfor -%}",
    "{%- for m in messages recursive -%}{{ loop(messages) }}{%- endfor -%}",
    "{% set messages = 5 %}",
    "{% filter upper %}{{ messages[0].content }}{% endfilter %}",
    "{% call lipsum() %}{% endcall %}",
    "{{ self }}{{ self._TemplateReference__context }}",
    "{{ joiner }}{{ namespace }}",
    "{% do messages %}",
    "{% trans %}x{% endtrans %}",
    "{{ 1e400 | int }}",
    "{{ '9' * 100000 | int }}",
    "{{ ('9' * 5000) | int }}",
    "{{ 10 ** 5000 }}",
)


def source(chance: random.Random) -> str:
    """A template by a stranger: mostly one that works, with something odd in it."""
    turn = "".join(chance.choice(TURN) for _ in range(chance.choice((1, 1, 1, 2))))
    loop = "{% for m in messages %}" + turn + "{% endfor %}"
    begin = chance.choice(("", "{{ bos_token }}", "{% set system = messages[0]['content'] %}", "\n"))
    end = chance.choice(("{% if add_generation_prompt %}ASSISTANT:{% endif %}", "", "A:<think>\n"))
    parts = [begin, loop, end]
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        parts.insert(chance.randrange(len(parts) + 1), chance.choice(HARM))
    whole = "".join(parts)
    if chance.random() < 0.25:
        whole = several(chance, whole.encode("utf-8", "replace")).data.decode("utf-8", "replace")
    return whole


def words(chance: random.Random) -> str:
    """What a person asks, or a file holds."""
    pieces = (
        "What is this?",
        "</think>",
        "<think>",
        "{{ 7 * 7 }}",
        "\n\n",
        "<media>",
        "été",
        "\U0001f600",
        "`" * 3,
        *SPECIAL,
    )
    return "".join(chance.choice(pieces) for _ in range(chance.choice((1, 2, 5, 20)))) or "?"


def make(chance: random.Random, folder: Path, keep: Path) -> Case:
    template, question = source(chance), words(chance)
    system = words(chance) if chance.random() < 0.3 else None
    n_pictures = chance.choice((0, 1, 1, 2))

    def call() -> Ran:
        return Ran(silent=_rendered(template, question, system, n_pictures))

    arguments = ["ask", "-m", "model.gguf", "--mmproj", str(ggufs.models(keep)["tiny"][1])]
    arguments += ["--no-history", "--no-cache", "--max-tokens", "4", "--no-loop-guard"]
    arguments += [f"--system={system}"] if system else []
    arguments += ["./picture.png"] * n_pictures + ["--", question.replace("\0", "")]
    limits = Limits(cpu_seconds=20, memory=300 << 20)

    def prepare() -> None:
        model = ggufs.taken_apart(ggufs.models(keep)["tiny"][0].read_bytes())
        model.replace("tokenizer.chat_template", ggufs.STRING, ggufs.text(template))
        (folder / "model.gguf").write_bytes(model.joined())
        draw(folder / "picture.png", "red circle")
        (folder / "template.jinja").write_bytes(template.encode("utf-8", "surrogatepass"))
        (folder / "question.txt").write_text(f"{system}\n{question}\n")

    return Case(f"{template!r:.300}", call, tuple(arguments), frozenset({0, 4, 6}), limits=limits, prepare=prepare)


def _rendered(template: str, question: str, system: str | None, n_pictures: int) -> str | None:
    """Render it; what of a person's words became a command to the model, or was lost."""
    import numpy as np

    from mmcli.engine.local.template import Template
    from mmcli.engine.messages import Message
    from mmcli.media.types import Image, Receipt

    receipt = Receipt("picture.png", "image", "0" * 64, 1, "PNG")
    pictures = [Image(np.zeros((4, 4, 3), np.uint8), f"{i:064}", receipt) for i in range(n_pictures)]
    messages = [Message("system", (system,))] if system else []
    messages.append(Message("user", (*pictures, question)))
    compiled = Template(template, bos="<s>", eos="</s>", is_special=lambda text: any(mark in text for mark in SPECIAL))
    prompt = compiled.render(messages)
    if len(prompt.segments) != n_pictures + 1:
        return f"media: {n_pictures} went in, {len(prompt.segments) - 1} came out"
    written = "".join(run.text for segment in prompt.segments for run in segment if run.special)
    for mark in SPECIAL:
        given = question.count(mark) + (system or "").count(mark)
        if given and mark not in template and mark not in ("<s>", "</s>") and mark in written:
            return f"special: {mark} of the question is a control token in the prompt"
    return None
