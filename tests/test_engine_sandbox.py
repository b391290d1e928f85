"""Templates of strangers: the ordinary ones run here, and what costs too much, wherever it hides, ends in a moment."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmcli.engine.forms import FORMS
from mmcli.engine.local import limited, sandbox
from mmcli.engine.local.limited import compiled
from mmcli.engine.local.sandbox import Program, Refused, TooMuch, Uncounted

MESSAGES = [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]
GIVEN = {"messages": MESSAGES, "tools": None, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
DOUBLE = "{{% set n = namespace(x={0}) %}}{{% for i in range(60) %}}{{% set n.x = {1} %}}{{% endfor %}}{2}"
FOR_EVER = "{% for i in range(100000) %}{% for j in range(100000)TEST %}BODY{% endfor %}{% endfor %}"


def run(source: str) -> str:
    return Program(source).run(GIVEN, 100)


TOO_MUCH = {
    "endless recursion": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a recursive loop": "{% for i in [[1]] recursive %}{{ loop([i]) }}{% endfor %}",
    "a long list": "{% set x = [0] * 2000000000 %}",
    "a long text": "{{ 'a' * 10000000000 }}",
    "a long text, turned round": "{{ 10000000000 * 'a' }}",
    "doubling by ~": DOUBLE.format("'aa'", "n.x ~ n.x", ""),
    "doubling by +": DOUBLE.format("'aa'", "n.x + n.x", ""),
    "doubling by join": DOUBLE.format("'aa'", "[n.x, n.x] | join", ""),
    "doubling by a method": DOUBLE.format("'aa'", "''.join([n.x, n.x])", ""),
    "doubling by replace": DOUBLE.format("'aa'", "n.x | replace('a', 'aa')", ""),
    "doubling by a method's replace": DOUBLE.format("'aa'", "n.x.replace('a', 'aa')", ""),
    "doubling by a format": DOUBLE.format("'aa'", "'{}{}'.format(n.x, n.x)", ""),
    "doubling by a block": "{% set n = namespace(x='aa') %}{% for i in range(60) %}"
    "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
    "doubling by a macro": "{% macro d(x) %}{{ x }}{{ x }}{% endmacro %}" + DOUBLE.format("'aa'", "d(n.x)", ""),
    "a list of lists": DOUBLE.format("['a']", "[n.x, n.x]", "{{ n.x }}"),
    "tuples of tuples": DOUBLE.format("('a',)", "(n.x, n.x)", "{{ n.x }}"),
    "tables of tables": DOUBLE.format("{'a': 1}", "{'a': n.x, 'b': n.x}", "{{ n.x | tojson }}"),
    "tables by name": DOUBLE.format("{'a': 1}", "dict(a=n.x, b=n.x)", "{{ n.x }}"),
    "lists by +": DOUBLE.format("['a']", "n.x + n.x", ""),
    "arguments in arguments": "{% macro m() %}{{ m(varargs, varargs) }}{% endmacro %}{{ m(1) }}",
    "two trees compared": "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}"
    "{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
    "loops in loops": FOR_EVER.replace("TEST", "").replace("BODY", ""),
    "loops that find nothing": FOR_EVER.replace("TEST", " if false").replace("BODY", ""),
    "lists in loops": FOR_EVER.replace("TEST", "").replace("BODY", "{{ 5 in range(100000) | list }}"),
    "much said": "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s }}{% endfor %}",
    "slices kept": "{% set n = namespace(l=[]) %}{% set s = 'ab' * 1000000 %}{% for i in range(100000) %}"
    "{% set n.l = n.l + [s[i:]] %}{% endfor %}",
    "words kept": "{% set n = namespace(l=[]) %}{% set s = 'a b ' * 100000 %}{% for i in range(100000) %}"
    "{% set n.l = n.l + s.split(' ') %}{% endfor %}",
    "views of tables": DOUBLE.format("{'a': 1}", "{'a': n.x.items(), 'b': n.x.items()}", "{{ n.x }}"),
    "one text for every item": "{% set a = 'ab' * 4000000 %}{% set b = 'ab' * 3999999 ~ 'ac' %}"
    "{{ b in range(100000) | map(attribute='no', default=a) }}",
    "one text for every item, kept": "{% set a = 'ab' * 4000000 %}"
    "{% set x = range(100000) | map(attribute='no', default=a) | list %}",
    "a test for every item": "{% set a = 'ab' * 4000000 %}{% set b = 'ab' * 3999999 ~ 'ac' %}"
    "{{ range(100000) | map(attribute='no', default=a) | select('equalto', b) | list }}",
    "a format by name": "{{ " + repr("%(a)s" * 5000) + " % {'a': 'x' * 1000000} }}",
    "constants": "{{ 'aaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaa')" * 8 + " }}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "a negative power": "{{ 2 ** -99999999999 }}",
    "squares of squares": DOUBLE.format("9", "n.x * n.x", ""),
    "a number of digits": "{{ ('1' * 1000000) | int(base=2) // 3 }}",
    "a centred text": "{{ 'a'.center(9000000000) }}",
    "a filter that centres": "{{ 'a' | center(9000000000) }}",
    "a filter's own method": "{{ ('a' | attr('ljust'))(9000000000) }}",
    "an indented text": "{{ 'a\nb' | indent(9000000000) }}",
    "tabs": "{{ '\t'.expandtabs(9000000000) }}",
    "a rounded number": "{{ 1.5 | round(900000000, 'ceil') }}",
    "rows": "{{ [1] | batch(9000000000, 0) | list }}",
    "columns": "{{ [1] | slice(9000000000) | list }}",
}


@pytest.mark.parametrize("source", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_what_takes_too_much_is_given_up_before_it_does(source: str) -> None:
    with pytest.raises(TooMuch):
        run(source)


REFUSED = {
    "division by zero": "{{ 1 // 0 }}",
    "an unknown name": "{{ nothing.at.all }}",
    "its own words": "{{ raise_exception('not so') }}",
    "Python's classes": "{{ ''.__class__.__mro__ }}",
    "Python's globals": "{{ cycler.__init__.__globals__ }}",
    "a changed message": "{{ messages.append(1) }}",
    "a wrong sum": "{{ 1 + 'a' }}",
    "a wrong call": "{{ 5() }}",
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED.keys())
def test_every_exception_of_a_template_is_a_refusal_in_a_few_words(source: str) -> None:
    with pytest.raises(Refused) as caught:
        compiled(source).run(GIVEN, 100)
    assert 0 < len(str(caught.value)) < 400 and "\n" not in str(caught.value)


UNCOUNTED = {
    "{{ '%5d' | format(1) }}": "    1",
    "{{ '%9999d' % 1 }}": "1".rjust(9999),
    "{{ '{:>5}'.format(1) }}": "    1",
    "{{ 'a b' | wordwrap(1) }}": "a\nb",
    "{{ [[1], [2]] | sum(start=[]) }}": "[1, 2]",
    "{% block x %}hi{% endblock %}": "hi",
    "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}": "12",
    "{{ 'x' * 9 }}" + " " * (64 << 10): "x" * 9 + " " * (64 << 10),
}


@pytest.mark.parametrize(("source", "text"), UNCOUNTED.items(), ids=range(len(UNCOUNTED)))
def test_what_cannot_be_counted_runs_in_a_process_of_its_own_and_says_the_same(source: str, text: str) -> None:
    with pytest.raises(Uncounted):
        run(source)
    assert compiled(source).run(GIVEN, 100) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ '%90000000000d' % 1 }}",
        "{{ '{:>90000000000}'.format(1) }}",
        "{{ ('%900000000d' | format(1)) ~ '' }}{% for i in range(99) %}{{ '%900000000d' | format(1) }}{% endfor %}",
    ],
)
def test_a_process_that_takes_too_much_memory_ends(source: str) -> None:
    with pytest.raises(TooMuch):
        compiled(source).run(GIVEN, 100)


def test_a_process_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "PATIENCE", 3.0)  # or five seconds of CPU, which comes first
    with pytest.raises(TooMuch, match="does not end"):
        compiled("{% block x %}" + FOR_EVER.replace("TEST", "").replace("BODY", "") + "{% endblock %}").run(GIVEN, 100)


def test_the_process_is_given_what_the_template_is_given() -> None:
    source = "{% block x %}{{ messages[1]['content'] }}{{ bos_token }}{{ tools is none }}{{ é }}{% endblock %}"
    given = GIVEN | {"é": "\ud800 ✓"}  # a file name may hold half of a pair
    assert compiled(source).run(given, 100) == "Hi<s>True\ud800 ✓"


@pytest.mark.parametrize("name", FORMS)
def test_a_chat_template_costs_no_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_run_apart", None)
    assert "Hi" in compiled(FORMS[name].source).run(GIVEN, 100)


def test_what_chat_templates_are_made_of_says_the_same_counted_and_not() -> None:
    source = (
        "{%- macro show(x, indent=2) -%}{%- for key, value in x.items() if key != 'c' -%}"
        "{{- ' ' * indent ~ key ~ '=' ~ value | tojson -}};{%- endfor -%}{%- endmacro -%}"
        "{%- set ns = namespace(system='', seen=[], last=-1) -%}"
        "{%- for m in messages -%}{%- if m.role == 'system' -%}{%- set ns.system = ns.system + m.content -%}"
        "{%- else -%}{%- set ns.seen = ns.seen + [m.content] -%}{%- set ns.last = loop.index0 -%}{%- endif -%}"
        "{%- endfor -%}"
        "{{ show({'a': 1, 'b': [1, 'x'], 'c': none}) }}{{ ns.system | trim }}{{ ns.seen | join(', ') }}{{ ns.last }}"
        "{%- set text %}[{{ 'a-b'.split('-')[-1].strip().replace('b', 'cc') }}]{% endset -%}{{ text | upper }}"
        "{{ 'a\nb' | indent(width=2, first=true) }}{{ [1, 2] | join(d='-') }}"
        "{{ messages | join(', ', attribute='role') }}"
        "{{ 'aaa' | replace('a', 'b', count=2) }}{{ 2.25 | round(precision=1, method='floor') }}"
        "{{ [1, 2, 3] | batch(linecount=2, fill_with=0) | list }}{{ [1, 2] | sum(start=1) }}{{ 'x' is in ['x'] }}"
        "{{ messages[::-1][0]['content'][1:] }}{{ '%s/%s' % ('x', 2) }}{{ 7 // 2 * 3 % 4 }}{{ 2 ** 10 }}{{ 1 / 4 }}"
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}{{ (1, 2) + (3,) }}"
        "{{ 'y' if 'user' in messages | map(attribute='role') else 'n' }}{{ {'k': 'v'} | dictsort }}{{ 'ab' | list }}"
        "{% for i in range(3) %}{{ loop.cycle('p', 'q') }}{% if not loop.last %},{% endif %}{% endfor %}"
    )
    assert run(source) == Program(source, counting=False).run(GIVEN, 100)


def test_a_long_text_is_no_reason_to_refuse() -> None:
    text = "word " * 2_000_000  # 10 MB
    source = (
        "{% for m in messages %}{{ m.content | trim }}{{ m.content.split('</think>')[-1].strip('\\n') }}{% endfor %}"
    )
    said = Program(source).run({"messages": [{"role": "user", "content": text}]}, len(text))
    assert len(said) == 2 * len(text) - 1


def test_a_thousand_turns_are_no_reason_to_refuse() -> None:
    messages = [{"role": "user", "content": f"turn {i} " * 20} for i in range(1000)]
    source = (
        "{% set ns = namespace(all=[], text='') %}{% for m in messages %}{% set ns.all = ns.all + [m] %}"
        "{% for n in messages[loop.index0:] %}{% if n.role == 'user' %}{% break %}{% endif %}{% endfor %}"
        "{% set ns.text = m.content %}{{ ns.text }}{% endfor %}"
    )
    assert Program(source).run({"messages": messages}, 200_000).startswith("turn 0 turn 0")


def test_nothing_of_a_rendering_is_left_for_the_next() -> None:
    program = Program("{{ messages[0]['content'] * 100 }}")
    for _ in range(50):  # together more than one may make
        assert len(program.run({"messages": [{"content": "a" * 100_000}]}, 100_000)) == 10_000_000


def test_what_python_remarks_on_a_template_is_not_printed() -> None:
    """Warnings are errors in these tests; a person would see them on stderr."""
    assert run("{% if false %}{{ 1[0] }}{{ none[1:] }}{% endif %}x") == "x"


def test_a_source_that_is_no_template_is_refused() -> None:
    for source in ("{% for %}", "{{ .System }}", "{{ " + "(" * 5000, "{% if 1 %}" * 2000, "x" * (2 << 20)):
        with pytest.raises(Refused):
            compiled(source)


def test_the_sandbox_needs_nothing_of_mmcli() -> None:
    """The process of its own starts in a moment."""
    home = str(Path(sandbox.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {home!r}); import mmcli.engine.local.limited; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "llama_cpp", "PIL", "typer", "rich"} & set(loaded)
