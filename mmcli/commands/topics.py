"""Topics of the help that are not single options: each with its search words and the command to type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """An answer to "how do I …?"."""

    words: str  # it goes by these; most of them are in no option's own text
    about: str  # what the command is for
    command: str


TOPICS = (
    Topic("ask question picture image photo", "ask about a picture", 'mmcli ask photo.jpg "What is this?"'),
    Topic(
        "stdin standard input pipe bytes clipboard",
        "ask about what is piped in",
        'cat photo.jpg | mmcli ask "What is this?"',
    ),
    Topic(
        "continue going on follow-up again resume last previous conversation session",
        "continue the last conversation",
        'mmcli ask -c "And what else?"',
    ),
    Topic("continue going on resume chat last previous conversation", "continue it in a chat", "mmcli chat -c"),
    Topic("screen screenshot clipboard paste", "show the screen or the clipboard in a chat", "/screen  or  /paste"),
    Topic("default model choose which always set", "set the default model", "mmcli config set model NAME"),
    Topic("models which have here installed list downloaded", "see which models are here", "mmcli models --here"),
    Topic("download get install fetch model", "download a model", "mmcli pull NAME"),
    Topic(
        "own file gguf weights projector mmproj", "use weights of your own", "-m WEIGHTS.gguf --mmproj PROJECTOR.gguf"
    ),
    Topic("subtitle subtitles srt vtt ass film video caption", "write subtitles", "mmcli transcribe film.mkv -f srt"),
    Topic("lyrics lrc karaoke song", "write lyrics with times", "mmcli transcribe song.mp3 -f lrc --highlight-words"),
    Topic("microphone dictate dictation record listen", "transcribe what you say", "mmcli transcribe --mic"),
    Topic(
        "many folder batch thousand photos caption describe", "describe a folder of pictures", "mmcli caption photos -r"
    ),
    Topic(
        "keywords tags xmp metadata lightroom",
        "write tags beside pictures",
        "mmcli caption photos --style tags --sidecar xmp",
    ),
    Topic(
        "embed metadata iptc xmp exif description keywords inside file",
        "write captions into the pictures' files",
        "mmcli caption photos --embed",
    ),
    Topic(
        "read pdf scan ocr text page document markdown photograph",
        "read pages as Markdown",
        "mmcli read scan.pdf -o scan.md",
    ),
    Topic("table tables csv excel spreadsheet", "get the tables of a PDF", "mmcli read report.pdf --tables tables/"),
    Topic("rename names files", "name pictures by what they show", "mmcli caption photos --rename"),
    Topic(
        "read aloud speak voice tts speech loudspeaker",
        "hear the answer",
        'mmcli ask photo.jpg "What is this?" --speak',
    ),
    Topic("talk voice speak conversation hands-free", "have a conversation by voice", "mmcli voice"),
    Topic(
        "json script program jq output machine-readable", "get the answer as JSON", 'mmcli ask photo.jpg "What?" --json'
    ),
    Topic("saved prompt template reuse snippet", "save a prompt", "mmcli ask 'Translate: $input' --save translate"),
    Topic("saved prompt template reuse snippet", "use a saved prompt", 'mmcli ask "Good morning" -t translate'),
    Topic("code block extract only script fence", "get only the code", 'mmcli ask "Write a script" -x'),
    Topic(
        "settings config file variable environment default", "see every setting and its source", "mmcli config --all"
    ),
    Topic("config file where folder place cache data", "see where files live", "mmcli config"),
    Topic(
        "private privacy delete forget history data", "delete conversations", "mmcli history delete --older-than 30d"
    ),
    Topic("private privacy incognito no history", "keep nothing of a question", 'mmcli ask --no-history "What?"'),
    Topic(
        "offline network internet private privacy proxy", "forbid network connections", "mmcli config set offline true"
    ),
    Topic("gpu cuda metal vulkan slow fast build", "see whether this build uses the hardware", "mmcli doctor"),
    Topic("wrong hallucinate blind sees test check model works", "test whether a model sees", "mmcli doctor -m NAME"),
    Topic("error problem crash broken help debug bug", "see what happens inside", "add --debug to the command"),
    Topic("receipt proof what model saw evidence", "see what the model got", "add -v to the command"),
    Topic("exit status code error number", "see what an exit status means", "mmcli help --man"),
    Topic(
        "tab completion shell bash zsh fish powershell", "complete words with Tab", 'eval "$(mmcli completion bash)"'
    ),
    Topic("memory ram fit size", "see which models fit this machine", "mmcli models"),
    Topic("space disk free remove uninstall delete model", "remove a model", "mmcli rm NAME"),
    Topic(
        "ollama lm studio llama.cpp other programs import adopt", "use models of other programs", "mmcli models --adopt"
    ),
    Topic("version", "see the version", "mmcli --version"),
    Topic("manual man page", "read the man page", "mmcli help --man | man -l -"),
)
