"""A GGUF without a template: its vocabulary tells the form of its conversations."""

import pytest

from mmcli.engine import Message, forms
from mmcli.engine.local.prompts import Prompts
from mmcli.engine.local.template import Template

TALK = [
    Message("system", ("Be brief.",)),
    Message("user", ("Red?",)),
    Message("assistant", ("Yes.",)),
    Message("user", ("Sure?",)),
]


def asked(name: str) -> str:
    chosen = forms.named(name)
    assert chosen is not None
    return Prompts(Template(chosen.source, bos="<s>", eos="</s>"), lambda text: None).render(TALK).text


@pytest.mark.parametrize("name", [*forms.FORMS, forms.NONE])
def test_every_form_holds_all_that_was_said_in_its_order(name: str) -> None:
    text = asked(name)
    places = [text.index(words) for words in ("Be brief.", "Red?", "Yes.", "Sure?")]
    assert places == sorted(places)


def test_forms_are_what_their_models_were_trained_on() -> None:
    assert asked("gemma") == (
        "<start_of_turn>user\nBe brief.\n\nRed?<end_of_turn>\n<start_of_turn>model\nYes.<end_of_turn>\n"
        "<start_of_turn>user\nSure?<end_of_turn>\n<start_of_turn>model\n"
    )
    assert asked("mistral-v3") == "[INST] Be brief.\n\nRed?[/INST] Yes.</s>[INST] Sure?[/INST]"
    assert asked("llama2") == "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nRed? [/INST]Yes.</s>[INST] Sure? [/INST]"
    assert asked("vicuna") == "Be brief.\n\nUSER: Red?\nASSISTANT: Yes.</s>\nUSER: Sure?\nASSISTANT:"
    assert asked("none") == "Be brief.\n\nRed?\n\nYes.\n\nSure?"


@pytest.mark.parametrize("form", [form for form in forms.FORMS.values() if form.marks], ids=lambda form: form.name)
def test_a_form_is_told_by_its_own_marks(form: forms.Form) -> None:
    chosen = forms.choose(None, form.marks.__contains__)
    assert chosen.name == form.name and form.marks[0] in chosen.why


def test_the_more_marks_tell_the_more() -> None:
    phi = {"<|im_start|>", "<|im_sep|>", "<|im_end|>"}
    assert forms.choose(None, phi.__contains__).name == "phi4"
    assert forms.choose("  \n", (phi - {"<|im_sep|>"}).__contains__).name == "chatml"


def test_a_vocabulary_without_marks_is_asked_as_llava_was_and_it_is_told() -> None:
    chosen = forms.choose(None, lambda text: False)
    assert chosen.name == "vicuna" and chosen.stop == ("USER:",) and "no other form" in chosen.why


def test_a_models_own_template_comes_first_and_may_be_the_name_of_a_form() -> None:
    assert forms.choose("{{ messages }}", lambda text: True) == forms.ChosenTemplate("{{ messages }}")
    assert forms.choose("chatml", lambda text: False).source == forms.CHATML.source
