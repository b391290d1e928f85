"""Languages by code and by name."""

from __future__ import annotations

import pytest

from mmcli import languages


def test_the_codes_are_whisper_s() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    assert set(languages.NAMES) == set(_LANGUAGE_CODES)
    assert {languages.code(name) for name in languages.NAMES.values()} == set(languages.NAMES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("de", "de"),
        (" DE ", "de"),
        ("German", "de"),
        ("german", "de"),
        ("Deutsch", "de"),
        ("de-DE", "de"),
        ("de_AT.UTF-8", "de"),
        ("pt-BR", "pt"),
        ("zh-Hans", "zh"),
        ("Mandarin", "zh"),
        ("Haitian Creole", "ht"),
        ("haw", "haw"),
        ("日本語", "ja"),
        ("xx", None),
        ("klingon", None),
        ("", None),
        ("x-y", None),
    ],
)
def test_a_language_is_found_by_code_or_name(text: str, code: str | None) -> None:
    assert languages.code(text) == code


def test_a_model_is_told_a_name_and_anything_it_may_know_itself() -> None:
    told = {"de": "German", "german": "German", "DEUTSCH": "German", "pt-BR": "pt-BR", "Klingon": "Klingon"}
    assert {text: languages.name(text) for text in told} == told
