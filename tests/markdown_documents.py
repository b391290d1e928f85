"""Markdown of every kind, and how it is rendered whole."""

import io

from rich.console import Console

from mmcli.terminal.markdown import MarkdownStream

DOCUMENT = """\
# A heading with **bold**

A first paragraph long enough to be wrapped on any terminal that we test, with *emphasis*, **strong words**, `code`,
a [link](https://example.com/a_b), an <https://a.b/c> and list[int] or [red]x[/] that is no markup.
A second line: 2 * 3 * 4 = 24, snake_case_name, **bold _nested_ text**, ~~struck~~, [1] a note, <b>html</b>.

Steps:
1. First **item**
2. Second item, which is so much longer than the others that it has to be wrapped somewhere, at 80 columns too

   and a second paragraph
3. Third
   - nested a
   - nested b
     - deep *c*
       ```python
       def f(x):

           return x ** 2  # list[int]
       ```
   - nested c
10. Fourth

- loose

- list
-
- [ ] task

> A quote with **bold** words that goes on and on so that it wraps around the end of the line
>
> - list in quote
> - more

| Name | Age | Notes |
|:-----|----:|:-----:|
| Ann | 42 | likes `code` and **bold** |
| 李雷 | 7 | 😀 emoji |

Words before a table
| a | b |
|---|---|
| 1 | 2 |

Setext
======

***

    indented code

    more

```
fence
| not | table |
# not heading

- not list
```
After the fence.

这是一个很长的中文段落，用来测试宽字符的换行，**重要**的内容应该加粗，而不是重复出现；其中还有English单词和`代码`，以及标点。

日本語のテキストもあります。😀 emoji. 한국어 문장도 있습니다 그리고 더 길게 씁니다 그리고 더 길게 씁니다.

* star list
* **bold** start
+ plus list

[ref]: https://example.com/ref "title"

A [ref] link. Image: ![a cat](cat.png). &amp; entity.
Line with hard break\x20\x20
after. Backslash\\
break. A lone *star that never closes, and under_score

The end
"""
LONG_LIST = "".join(f"- item {i} with **bold** words\n" for i in range(60))
LONG_LISTING = "```python\n" + "".join(f"x{i} = {i}\n" for i in range(60)) + "```\n"
LONG_NUMBERS = "".join(f"1. number\n   - below {i}\n" for i in range(30))
DOCUMENTS = [DOCUMENT, LONG_LIST, LONG_LISTING, LONG_NUMBERS]


def console(width: int = 80, **options: object) -> Console:
    return Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False, _environ={}, **options)


def shown(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def streamed(text: str, step: int, width: int = 80, **options: object) -> str:
    on = console(width, **options)
    stream = MarkdownStream(on)
    for i in range(0, len(text), step):
        stream.feed(text[i : i + step])
    stream.close()
    return shown(on)


def whole(text: str, width: int = 80) -> str:
    """Rendered from one parse of the finished text, without anything of the streaming."""
    on = console(width)
    stream = MarkdownStream(on)
    stream._lines = text.splitlines(keepends=True)
    stream.close()
    return shown(on)
