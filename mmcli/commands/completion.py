"""`mmcli completion`: what the shells load, and what they then ask at every Tab. Loads nothing heavy.

A shell's script runs mmcli with `_MMCLI_COMPLETE` set. `words`: the arguments are the words before the cursor's, and
`_MMCLI_WORD` is that one, as far as it is typed. `bash`: `COMP_LINE` is the line up to the cursor, because bash
splits words at `:` and `=`, and wants only what follows these back. The replies are lines: a word, and after a tab
what it means; no line at all means that a file is expected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import typer

from mmcli.commands.pages import split
from mmcli.errors import MmcliError, UsageError

VARIABLE = "_MMCLI_COMPLETE"
N_TALKS = 50  # ids to choose from; older ones are typed

Reply: TypeAlias = tuple[str, str]  # a word, and what it means


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


SCRIPTS = {
    Shell.bash: r"""
_mmcli() {
    local reply
    COMPREPLY=()
    while IFS= read -r reply; do
        COMPREPLY+=("${reply%%$'\t'*}")
    done < <(_MMCLI_COMPLETE=bash _MMCLI_NAME="$1" COMP_LINE="${COMP_LINE:0:COMP_POINT}" \
        COMP_WORDBREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
}
complete -o bashdefault -o default -F _mmcli mmcli
""",
    Shell.zsh: r"""
#compdef mmcli
_mmcli() {
    local -a replies values shown
    local reply
    replies=("${(@f)$(_MMCLI_COMPLETE=words _MMCLI_WORD="${(Q)PREFIX}" \
        ${(Q)words[1]} "${(@Q)words[2,CURRENT-1]}" 2>/dev/null)}")
    for reply in $replies; do
        values+=("${reply%%$'\t'*}")
        shown+=("${reply/$'\t'/  -- }")
    done
    if (( $#values )); then
        compadd -l -d shown -a values
    else
        compset -P '-*='
        _files
    fi
}
if [[ $funcstack[1] == _mmcli ]]; then _mmcli "$@"; else compdef _mmcli mmcli; fi
""",
    Shell.fish: r"""
function __mmcli_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct | string collect --allow-empty)
    set -l replies (env _MMCLI_COMPLETE=words _MMCLI_WORD="$word" $words 2>/dev/null)
    if test (count $replies) -gt 0
        printf '%s\n' $replies
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mmcli -f -a '(__mmcli_complete)'
""",
    Shell.powershell: r"""
Register-ArgumentCompleter -Native -CommandName mmcli -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { if ($_.Value) { $_.Value } else { $_.Extent.Text } })
    $program, $before = $words
    $env:_MMCLI_COMPLETE = 'words'
    $env:_MMCLI_WORD = $wordToComplete
    try {
        & $program @before 2>$null | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
        }
    } finally {
        Remove-Item 'Env:_MMCLI_COMPLETE', 'Env:_MMCLI_WORD' -ErrorAction SilentlyContinue
    }
}
""",
}


def completion(
    shell: Annotated[
        Shell | None,
        typer.Argument(
            metavar="[SHELL]", help="bash, zsh, fish or powershell; without it, the one in $SHELL.", show_default=False
        ),
    ] = None,
) -> int | None:
    """Print the script that lets Tab complete commands and names.

    eval "$(mmcli completion bash)"  # bash: ~/.bashrc
    source <(mmcli completion zsh)  # zsh: ~/.zshrc
    mmcli completion fish | source  # fish: config.fish
    """
    from mmcli import terminal

    if shell is None:
        name = os.path.basename(os.environ.get("SHELL", "")).removesuffix(".exe")
        if name not in list(Shell):
            raise UsageError("which shell?", hint=f"mmcli completion {'|'.join(Shell)}")
        shell = Shell(name)
    for line in SCRIPTS[shell].strip("\n").splitlines():
        terminal.line(line)
    return None


def reply(root: Any, arguments: list[str], environment: Mapping[str, str]) -> int:
    """Answer a shell: what the word at the cursor may become."""
    from mmcli import terminal

    skip = 0
    if environment[VARIABLE] == "bash":
        before, word, skip = _of_bash(environment)
    else:
        before, word = arguments, environment.get("_MMCLI_WORD", "")
    replies = [(value[skip:], " ".join(about.split())) for value, about in replies_for(root, before, word)]
    terminal.table(("word", "about"), replies, terminal.Style())
    return 0


def replies_for(root: Any, before: list[str], word: str) -> list[Reply]:
    """The words that begin like `word` after the words `before`; none where a file is expected."""
    try:
        return [(value, about) for value, about in _possible(root, before, word) if value.startswith(word)]
    except MmcliError:  # a damaged history, say: Tab is not the place to tell
        return []


def _possible(root: Any, before: list[str], word: str) -> Iterator[Reply]:
    command, pending, n_words, is_over = _walk(root, before)
    if pending is not None:
        yield from _values(root, pending, word)
        return
    if word.startswith("-") and not is_over:
        name, equals, value = word.partition("=")
        if equals:
            option = next((param for param in command.params if name in param.opts), None)
            yield from ((f"{name}={found}", about) for found, about in (_values(root, option, value) if option else ()))
            return
        for param in command.params:
            if param.param_type_name == "option" and not param.hidden:
                yield from (
                    (text, split(param.help or "")[0])
                    for text in (*param.opts, *param.secondary_opts)
                    if text[:2] == "--"
                )
        yield "--help", "Show this help"
        yield "--help-all", "Show help with every option"
        return
    for name, below in getattr(command, "commands", {}).items():
        yield name, split(below.help or "")[0]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if arguments:
        yield from _values(root, arguments[min(n_words, len(arguments) - 1)], word)


def _walk(root: Any, before: list[str]) -> tuple[Any, Any, int, bool]:
    """The command the words lead to, an option that waits for its value, how many arguments came, whether `--` did."""
    command, n_words, is_over = root, 0, False
    words = list(before)
    while words:
        word = words.pop(0)
        if word == "--" and not is_over:
            is_over = True
        elif word.startswith("-") and word != "-" and not is_over:
            option = next((param for param in command.params if word in param.opts), None)
            if option is None or getattr(option, "is_flag", False):
                continue
            if not words:
                return command, option, n_words, is_over
            if option.name != "continue_":  # its value may be left out: what follows is looked at for itself
                words.pop(0)
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
        else:
            n_words += 1
    return command, None, n_words, is_over


def _values(root: Any, param: Any, word: str) -> Iterator[Reply]:
    """What an option or an argument may be."""
    for item in param.shell_complete(typer.Context(root), word):
        if item.type == "plain":
            yield item.value, item.help or ""


def _of_bash(environment: Mapping[str, str]) -> tuple[list[str], str, int]:
    """Bash's line up to the cursor: the words before, the word itself, and how much of it bash keeps by itself."""
    import shlex

    line = environment.get("COMP_LINE", "")
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    is_quoted = False
    try:
        words += lexer
        word = "" if line[-1:].isspace() and not line.endswith("\\ ") else words.pop() if words else ""
    except ValueError:  # within quotes, which bash does not split
        word, is_quoted = lexer.token, True
    name = environment.get("_MMCLI_NAME", "mmcli")
    before = words[words.index(name) + 1 :] if name in words else words[1:]
    breaks = [] if is_quoted else [word.rfind(char) for char in environment.get("COMP_WORDBREAKS", "") if char in ":=@"]
    return before, word, max(breaks, default=-1) + 1


# What options and arguments give their Typer option as `autocompletion`.


def model_names(incomplete: str) -> list[Reply]:
    """The catalogue's names, and what else of the Hub is on this machine."""
    from mmcli.models import names

    return names.all_names()


def speech_model_names(incomplete: str) -> list[Reply]:
    """The same of speech models."""
    from mmcli.models import names

    return names.speech_names()


def embedding_model_names(incomplete: str) -> list[Reply]:
    """Those of the models that compare pictures with words."""
    from mmcli.models import names

    return names.embedding_names()


def voice_model_names(incomplete: str) -> list[Reply]:
    """The models that speak, and the system's own voice."""
    from mmcli.models import names

    return [*names.speaker_names(), ("system", "the system's own voice")]


def any_names(incomplete: str) -> list[Reply]:
    """Models of every kind."""
    found = dict(embedding_model_names(incomplete)) | dict(speech_model_names(incomplete))
    found |= dict(model_names(incomplete))
    return list(found.items())


def languages(incomplete: str) -> list[Reply]:
    """Languages by code."""
    from mmcli.languages import NAMES

    return list(NAMES.items())


def template_names(incomplete: str) -> list[Reply]:
    """The forms that --template knows."""
    from mmcli.engine import forms

    return [(name, "") for name in (*forms.FORMS, forms.NONE)]


def prompt_names(incomplete: str) -> list[Reply]:
    """The prompts that were saved."""
    from mmcli import prompts

    return [(name, "") for name in prompts.names()]


def command_names(ctx: typer.Context, incomplete: str) -> list[Reply]:
    """Every command, for `mmcli help`."""
    root: Any = ctx.find_root().command
    return [(name, split(below.help or "")[0]) for name, below in root.commands.items()]


def talk_ids(incomplete: str) -> list[Reply]:
    """The last talks' ids, with their first questions."""
    from mmcli import terminal
    from mmcli.history import Store

    with Store(create=False) as store:
        return [(talk.id, terminal.flat(talk.title, 60)) for talk in store.talks(N_TALKS)]


def setting_names(ctx: typer.Context, incomplete: str) -> list[Reply]:
    """What `mmcli config set` may set."""
    from mmcli.commands import settings

    every = settings.known(ctx.find_root().command)
    return [(name.replace("_", "-"), split(setting.option.help or "")[0]) for name, setting in every.items()]
