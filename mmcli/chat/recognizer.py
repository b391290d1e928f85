"""Speech to words for a conversation: the speech model, and the language once it is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmcli.speech import end_of_turn, transcribing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.speech.transcriber import Listening, Transcriber

SURE = 0.8  # confidence with which a language is heard once and for all


class Recognizer:
    """Call it with samples for their words; empty where there are none, or only such as Whisper invents."""

    def __init__(self, transcriber: Transcriber, listening: Listening) -> None:
        self._transcriber, self._listening = transcriber, listening
        self.language = listening.language  # None until one was heard with certainty

    def __call__(self, samples: NDArray[np.float32]) -> str:
        """The words in (n_samples,) mono samples at 16,000 Hz."""
        from mmcli.speech.transcriber import Heard

        heard = Heard(language=self.language)
        found = [transcribing.cleaned(one) for one in self._transcriber.transcribe(samples, self._listening, heard)]
        if (heard.language_confidence or 0.0) >= SURE:
            self.language = heard.language
        text = end_of_turn.joined([segment.text for segment in found])
        sure = min((segment.confidence for segment in found), default=0.0)
        return "" if end_of_turn.is_invented(text, sure) else text
