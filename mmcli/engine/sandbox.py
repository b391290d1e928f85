"""Chat templates run as Jinja, with a bound on the time and memory of one rendering. Knows Jinja; knows no messages.

A template comes from a stranger's file, and Jinja's own sandbox only keeps it from reaching Python: `9 ** 9 ** 9`, a
string that doubles, or loops in loops would still take the machine. Here the cost of every step is known before it is
done. Where it cannot be known (`urlize`, string formats, ...), `Uncounted` is raised, and limited.py runs the template
in a process of its own, which can be stopped. No chat template that we know needs that: a question costs no process.

The proof has three parts. (1) No value weighs more than `MOST_OF_A_VALUE`, its characters and items counted as a tree:
whatever could put a larger one together is looked at first. So no step, a comparison or a printed list included, takes
longer than milliseconds. (2) All values ever made take at most `MOST_IN_ALL`, whether they are still there or not.
(3) Each turn of a loop, call and filter is a step, and between steps the thread's CPU time is looked at.
"""

from __future__ import annotations

import functools
import json
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.ext import Extension
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MOST_OF_A_VALUE = 16 << 20  # characters, and eight times what was given
MOST_IN_ALL = 64 << 20  # characters, and sixty-four times what was given
ITEM = 64  # characters that one item of a list weighs
REFERENCE = 8  # bytes of a list for an item that is there anyway
MOST_BITS = 4096  # of an integer
MOST_WIDTH = 10_000  # of padding
SECONDS = 2.0  # of the thread's CPU: a thousand times what a chat template takes
MOST_SOURCE = 64 << 10  # characters, which take a second to compile; the longest template known has 17,000
MOST_WORDS = 300  # characters of a template's own error message that are told

# What takes no longer than its arguments and its result are long.
FILTERS = frozenset(
    "abs attr capitalize count d default dictsort e escape filesizeformat first float forceescape groupby int items"
    " last length list lower map max min reject rejectattr reverse safe select selectattr sort string title trim"
    " truncate unique upper urlencode wordcount".split()
)
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower"
        " isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex"
        " rpartition rsplit rstrip split splitlines startswith strip swapcase title upper".split()
    ),
    dict: frozenset("copy get items keys values".split()),
    list: frozenset("copy count index".split()),
    tuple: frozenset("count index".split()),
}
PADDING = frozenset(("center", "ljust", "rjust", "zfill"))
# A template may also be built of these; what is not here (blocks, includes) makes it `Uncounted`.
NODES = (
    *(nodes.Template, nodes.Output, nodes.For, nodes.If, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.With),
    *(nodes.ExprStmt, nodes.Assign, nodes.AssignBlock, nodes.Scope, nodes.Break, nodes.Continue),
    *(nodes.Name, nodes.NSRef, nodes.Const, nodes.TemplateData, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair),
    *(nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice),
    *(nodes.Concat, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow),
)
OF_JINJA = frozenset(("_loop_vars", "_block_vars", "caller"))  # arguments that Jinja itself gives with a call
FORMATS = r"%[-#0 +]*(\*|\d{3,}|\d*\.(\*|\d{3,}))"  # `%` formats that pad to more than a hundred characters


class Uncounted(Exception):
    """The template does something whose cost nobody knows before it is done."""


class TooMuch(Exception):
    """The template takes more time or memory than one rendering may."""


class Refused(Exception):
    """The template cannot be run, or refuses what it was given; the message says why, in a few words."""


# what a value weighs


def weight(value: object, most: int) -> int:
    """Characters and items in `value`, counted as a tree; TooMuch past `most`."""
    if isinstance(value, str):
        total = len(value)
        if total > most:
            raise TooMuch("it makes a text of more than it was given")
        return total
    total, rest = 0, [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, list | tuple):
            total += ITEM * (len(item) + 1)
            rest.extend(item)
        elif isinstance(item, dict):
            total += 2 * ITEM * (len(item) + 1)
            rest.extend(item)
            rest.extend(item.values())
        elif isinstance(item, int):
            total += ITEM
            if item.bit_length() > MOST_BITS:
                raise TooMuch("it reckons with numbers of thousands of digits")
        elif isinstance(item, Namespace):  # may come to hold itself
            raise Uncounted("a namespace in a value")
        else:
            total += ITEM
        if total > most:
            raise TooMuch("it makes a list of more than it was given")
    return total


class _Meter(threading.local):
    """What the rendering in this thread may still take."""

    most = MOST_OF_A_VALUE
    left = MOST_IN_ALL
    until = 0.0
    steps = 0

    def start(self, n_given: int) -> None:
        self.most = MOST_OF_A_VALUE + 8 * n_given
        self.left = MOST_IN_ALL + 64 * n_given
        self.until = time.thread_time() + SECONDS
        self.steps = 0

    def tick(self) -> bool:
        """One more step; always true, so that it can stand in a condition."""
        self.steps += 1
        if not self.steps % 64 and time.thread_time() > self.until:
            raise TooMuch(f"it does not end within {SECONDS:.0f} seconds")
        return True

    def take(self, value: Any) -> Any:
        """`value`, which was just made of values that are there."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, list | tuple | dict):
            self.spend(REFERENCE * (len(value) + 1))
        elif isinstance(value, int):
            weight(value, self.most)
        return value

    def build(self, value: Any) -> Any:
        """`value`, which was just put together, and may hold another several times."""
        weight(value, self.most)
        return self.take(value)

    def spend(self, n: int) -> None:
        """So many characters are made."""
        if n > self.most:
            raise TooMuch("it makes a text of more than it was given")
        self.left -= n
        if self.left < 0:
            raise TooMuch("it makes more text than it was given")


_meter = _Meter()


def _joined(*values: object) -> str:
    """`a ~ b`"""
    for value in values:
        weight(value, _meter.most)
    text = "".join(map(str, values))
    _meter.spend(len(text))
    return text


def _concat(parts: Iterable[str]) -> str:
    """The output of a template, a macro or a block."""
    said = []
    for part in parts:
        _meter.spend(len(part))
        said.append(part)
    return "".join(said)


# what a template may call


class _Namespace(Namespace):
    """Jinja's, but it holds no other: so a value cannot come to hold itself."""

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, Namespace):
            raise Uncounted("a namespace in a namespace")
        super().__setitem__(name, value)


def _raise_exception(message: object) -> None:
    raise TemplateRuntimeError(str(message)[:MOST_WORDS])


def _tojson(value: object, ensure_ascii: bool = False, indent: int | None = None, **kwargs: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **kwargs)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _width(width: object) -> None:
    if not isinstance(width, int) or width > MOST_WIDTH:
        raise TooMuch("it pads a text to more than a page")


def _replace(text: object, old: object, new: object, *rest: object) -> None:
    if not (isinstance(text, str) and isinstance(old, str) and isinstance(new, str)):
        raise Uncounted("replace")
    grows = max(0, len(new) - len(old))
    _meter.spend(len(text) + (text.count(old) * grows if grows else 0))


def _join(values: object, between: object = "", *rest: object) -> None:
    if not isinstance(values, list | tuple | str) or not isinstance(between, str):
        raise Uncounted("join")
    _meter.spend(weight(values, _meter.most) + len(between) * len(values))


def _indent(text: object, width: object = 4, *rest: object) -> None:
    if not isinstance(text, str):
        raise Uncounted("indent")
    if not isinstance(width, str):
        _width(width)
    _meter.spend(len(text) + (text.count("\n") + 1) * (len(width) if isinstance(width, str) else int(str(width))))


def _json_size(value: object, ensure_ascii: object = False, indent: object = None, **kwargs: object) -> None:
    n = weight(value, _meter.most)
    if kwargs or indent is not None and (not isinstance(indent, int) or indent > 16 or n > 1 << 20):
        raise Uncounted("tojson")


def _round(value: object, precision: object = 0, *rest: object) -> None:
    if not isinstance(precision, int) or abs(precision) > 30:
        raise TooMuch("it reckons with numbers of thousands of digits")


def _in_rows(value: object, n: object, *rest: object) -> None:
    _width(n)


def _sum(value: object, attribute: object = None, start: object = 0) -> None:
    if not isinstance(start, int | float):
        raise Uncounted("sum")


# Filters that may make more than they are given: what is looked at first.
CHECKED: Mapping[str, Callable[..., None]] = {
    "join": _join,
    "replace": _replace,
    "indent": _indent,
    "center": lambda value, width=80: _width(width),
    "tojson": _json_size,
    "round": _round,
    "batch": _in_rows,
    "slice": _in_rows,
    "sum": _sum,
}


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result is counted."""
    check, skip = CHECKED.get(name), int(hasattr(function, "jinja_pass_arg"))

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        _meter.tick()
        if check is not None:
            if name == "join" and not isinstance(args[skip], list | tuple | str):
                args = (*args[:skip], list(args[skip]), *args[skip + 1 :])  # what is lazy can be looked at only once
            check(*args[skip:], **kwargs)
        elif name not in FILTERS:
            raise Uncounted(f"the filter {name}")
        return _meter.take(function(*args, **kwargs))

    return run


def _check_method(owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Uncounted for a method of a text, list or table that may make more than it is given."""
    kind = type(owner)
    if name in METHODS.get(kind, ()):
        return
    if kind is str and name in PADDING and args and not kwargs:
        _width(args[0])
    elif kind is str and name == "replace" and len(args) >= 2 and not kwargs:
        _replace(owner, *args)
    elif kind is str and name == "join" and len(args) == 1:
        _join(args[0], owner)
    elif kind is str and name == "format" and ":" not in owner and "!" not in owner:
        _meter.spend(len(owner) + owner.count("{") * weight([*args, *kwargs.values()], _meter.most))
    elif kind is str and name == "expandtabs" and len(args) <= 1 and not kwargs:
        _width(args[0] if args else 8)
        _meter.spend(len(owner) + owner.count("\t") * (args[0] if args else 8))
    else:
        raise Uncounted(f"{kind.__name__}.{name}")


# the environment


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks training targets; for a prompt it means its body."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Scope:
        next(parser.stream)
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True))


class _Plain(ImmutableSandboxedEnvironment):
    """The settings that transformers renders chat templates with: their authors tested them under these."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation], **options
        )
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def _compile(self, source: str, filename: str) -> Any:
        """Python code; what Python remarks on it (`1[0]`) would be printed, and is nobody's to mend."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super()._compile(source, filename)


class _Counting(_Plain):
    """The same, counting what is done."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "**", "%"))
    concat = staticmethod(_concat)

    def __init__(self) -> None:
        super().__init__(finalize=_shown)
        self.filters = {name: _counted(name, function) for name, function in self.filters.items()}
        self.globals["namespace"] = _Namespace
        self.tick, self.take, self.build, self.joined = _meter.tick, _meter.take, _meter.build, _joined
        own = (self.tick, self.take, self.build, self.joined, self.globals["range"], dict, _Namespace)
        self._own = frozenset((*own, _raise_exception, _strftime_now))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _meter.tick()
        if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
            most = _meter.most
            if operator == "*":
                values, times = (right, left) if isinstance(left, int) else (left, right)
                _meter.spend(weight(values, most) * max(0, times) if isinstance(times, int) else 0)
            elif operator == "%" and (not isinstance(left, str) or re.search(FORMATS, left)):
                raise Uncounted("a format")
            elif isinstance(left, str):
                _meter.spend(len(left) + weight(right, most))
            elif weight(left, most) + weight(right, most) > most:
                raise TooMuch("it makes a list of more than it was given")
        elif isinstance(left, int) and isinstance(right, int):
            left_bits, right_bits = left.bit_length(), right.bit_length()
            bits = left_bits * max(0, min(right, MOST_BITS)) if operator == "**" else left_bits + right_bits
            if bits > MOST_BITS or operator == "**" and abs(right) > MOST_BITS:
                raise TooMuch("it reckons with numbers of thousands of digits")
        value = super().call_binop(context, operator, left, right)
        return value if isinstance(value, str) else _meter.take(value)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: B902
        _meter.tick()
        if not (
            isinstance(__obj, Macro | LoopContext | Undefined)
            or (type(__obj).__hash__ is not None and __obj in __self._own)
            or isinstance(getattr(__obj, "__self__", None), LoopContext)
        ):
            method = getattr(__obj, "__wrapped__", __obj)  # Jinja wraps str.format
            if not hasattr(method, "__self__"):
                raise Uncounted("a call")
            if method.__name__ == "join" and len(args) == 1 and not isinstance(args[0], list | tuple | str):
                args = (list(args[0]),)  # what is lazy can be looked at only once
            named = {name: value for name, value in kwargs.items() if name not in OF_JINJA}
            _check_method(method.__self__, method.__name__, args, named)
        value = super().call(__context, __obj, *args, **kwargs)
        if isinstance(value, Namespace):
            if any(isinstance(held, Namespace) for held in (*args, *kwargs.values())):
                raise Uncounted("a namespace in a namespace")
            return value
        if isinstance(getattr(__obj, "__self__", None), str) and isinstance(value, list | tuple):  # new texts
            _meter.spend(weight(value, _meter.most))
            return value
        return _meter.build(value) if __obj is dict else _meter.take(value)


def _shown(value: Any) -> Any:
    """What `{{ value }}` prints, before it becomes text."""
    if not isinstance(value, str):
        weight(value, _meter.most)
    return value


class _Counter(NodeTransformer):
    """Puts the counting into a template: a step for each turn of a loop, and the weight of what is put together."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if not isinstance(node, NODES):
            raise Uncounted(type(node).__name__)
        super().generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock):
            node.body.insert(0, nodes.ExprStmt(_call("tick", []), lineno=node.lineno))
        if isinstance(node, nodes.For) and node.test is not None:
            node.test = nodes.And(_call("tick", []), node.test)
        if isinstance(node, nodes.Concat):
            return _call("joined", node.nodes)
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            return _call("take", [node])
        return _call("build", [node]) if isinstance(node, nodes.Expr) and _is_built(node) else node


def _is_built(node: nodes.Expr) -> bool:
    """Whether an expression puts values together."""
    if isinstance(node, nodes.List) or isinstance(node, nodes.Tuple) and node.ctx == "load":
        return not all(isinstance(item, nodes.Const) for item in node.items)
    if isinstance(node, nodes.Name):
        return node.ctx == "load" and node.name in ("varargs", "kwargs")
    return isinstance(node, nodes.Dict)


def _call(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)


@functools.cache
def _environment(counting: bool) -> _Plain:
    return _Counting() if counting else _Plain()


class Program:
    """One compiled template."""

    def __init__(self, source: str, *, counting: bool = True) -> None:
        """Refused where it is no template; Uncounted where it can only run in a process with limits."""
        if counting and len(source) > MOST_SOURCE:
            raise Uncounted(f"{len(source)} characters")
        environment = _environment(counting)
        _meter.start(len(source))
        try:
            tree = environment.parse(source)
            self._template = environment.from_string(_Counter().visit(tree) if counting else tree)
        except (Uncounted, TooMuch):
            raise
        except RecursionError as error:
            raise Refused("it is nested too deep") from error
        except MemoryError as error:
            raise TooMuch("it takes too much memory") from error
        except Exception as error:  # Jinja's own, and what Python's compiler says of what Jinja writes
            raise Refused(_words(error)) from error

    def run(self, variables: Mapping[str, object], n_given: int) -> str:
        """The rendered text; `n_given` is how many characters are in the variables. TooMuch, Refused, Uncounted."""
        template = self._template
        _meter.start(n_given)
        try:
            return str(template.environment.concat(template.root_render_func(template.new_context(dict(variables)))))
        except (Uncounted, TooMuch):
            raise
        except RecursionError as error:
            raise TooMuch("it calls itself without end") from error
        except (MemoryError, OverflowError) as error:
            raise TooMuch(_words(error)) from error
        except SecurityError as error:
            raise Refused(f"it tried something forbidden: {_words(error)}") from error
        except Exception as error:  # a template can raise whatever Python can
            raise Refused(_words(error)) from error


def _words(error: Exception) -> str:
    """What an error says, short; of Python's own also which it is."""
    words = str(error)[:MOST_WORDS] or "no reason given"
    return words if isinstance(error, TemplateError) else f"{type(error).__name__}: {words}"
