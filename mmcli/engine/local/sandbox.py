"""Chat templates run as Jinja, with a bound on the time and memory of one rendering. Knows Jinja; knows no messages.

A template comes from a stranger's file, and Jinja's own sandbox only keeps it from reaching Python: `9 ** 9 ** 9`, a
string that doubles, or loops in loops would still take the machine. Here counting.py looks at every step before it is
done. Where a cost cannot be known (`urlize`, string formats, ...), `Uncounted` is raised, and limited.py runs the
template in a process of its own, which can be stopped. No chat template that we know needs that: a question costs no
process.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.ext import Extension
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from mmcli.engine.local import counting
from mmcli.engine.local.counting import Alone, TooMuch, Uncounted, meter

__all__ = ["Program", "Refused", "TooMuch", "Uncounted"]

MOST_SOURCE = 64 << 10  # characters, which take a second to compile; the longest template known has 17,000
MOST_WORDS = 300  # characters of a template's own error message that are reported
OF_JINJA = frozenset(("_loop_vars", "_block_vars", "caller"))  # arguments that Jinja itself gives with a call
# What a template may be built of; what is not here (blocks, includes) makes it `Uncounted`.
NODES = (
    *(nodes.Template, nodes.Output, nodes.For, nodes.If, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.With),
    *(nodes.ExprStmt, nodes.Assign, nodes.AssignBlock, nodes.Scope, nodes.Break, nodes.Continue),
    *(nodes.Name, nodes.NSRef, nodes.Const, nodes.TemplateData, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair),
    *(nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice),
    *(nodes.Concat, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow),
)


class Refused(Exception):
    """The template cannot be run, or refuses what it was given; the message says why, in a few words."""


class _Namespace(Namespace, Alone):
    """Jinja's, but it holds no other: so a value cannot come to hold itself."""

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, Alone):
            raise Uncounted("a namespace in a namespace")
        super().__setitem__(name, value)


def _raise_exception(message: object) -> None:
    raise TemplateRuntimeError(str(message)[:MOST_WORDS])


def _tojson(value: object, ensure_ascii: bool = False, indent: int | None = None, **kwargs: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **kwargs)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


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
        """Python code; what Python remarks on it (`1[0]`) would be printed, and is nobody's to fix."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super()._compile(source, filename)


class _Counting(_Plain):
    """The same, counting what is done."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "**", "%"))
    concat = staticmethod(counting.concat)

    def __init__(self) -> None:
        # Not optimized: what is computed while a template is compiled would stand in it, however large.
        super().__init__(finalize=counting.shown, optimized=False)
        self.filters = {name: counting.counted_filter(name, function) for name, function in self.filters.items()}
        tests: Mapping[str, Any] = self.tests
        self.tests = {name: counting.counted_test(function) for name, function in tests.items()}
        self.globals["namespace"] = _Namespace
        self.tick, self.take, self.build, self.joined = meter.tick, meter.take, meter.build, counting.joined
        own = (self.tick, self.take, self.build, self.joined, self.globals["range"], dict, _Namespace)
        self._own = frozenset((*own, _raise_exception, _strftime_now))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        counting.check_operator(operator, left, right)
        value = super().call_binop(context, operator, left, right)
        if operator == "+" and isinstance(value, list | tuple):
            meter.know(value, meter.weigh(left) + meter.weigh(right))
        return value if isinstance(value, str) else meter.build(value)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: B902
        meter.tick()
        method = getattr(__obj, "__wrapped__", __obj)  # Jinja wraps str.format
        owner = getattr(method, "__self__", None)
        if not (
            isinstance(__obj, Macro | LoopContext | Undefined)
            or (type(__obj).__hash__ is not None and __obj in __self._own)
            or isinstance(owner, LoopContext)
        ):
            if not hasattr(method, "__self__"):
                raise Uncounted("a call")
            if method.__name__ == "join" and len(args) == 1 and not isinstance(args[0], list | tuple | str):
                args = (list(args[0]),)  # what is lazy can be looked at only once
            named = {name: value for name, value in kwargs.items() if name not in OF_JINJA}
            counting.check_method(owner, method.__name__, args, named)
        value = super().call(__context, __obj, *args, **kwargs)
        if isinstance(value, Namespace):
            if any(isinstance(held, Alone) for held in (*args, *kwargs.values())):
                raise Uncounted("a namespace in a namespace")
            return value
        if isinstance(owner, str) and isinstance(value, list | tuple):  # new texts
            meter.spend(meter.weigh(value))
            return value
        return meter.build(value) if __obj is dict else meter.take(value)


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
        """Refused where it is not a template; Uncounted where it can only run in a process with limits."""
        if counting and len(source) > MOST_SOURCE:
            raise Uncounted(f"{len(source)} characters")
        environment = _environment(counting)
        meter.start(len(source))
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
        meter.start(n_given)
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
