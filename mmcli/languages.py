"""Languages by code and by name, as Whisper knows them. Data; knows neither sounds nor models."""

from __future__ import annotations

import re

NAMES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "as": "Assamese",
    "az": "Azerbaijani",
    "ba": "Bashkir",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "bo": "Tibetan",
    "br": "Breton",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fo": "Faroese",
    "fr": "French",
    "gl": "Galician",
    "gu": "Gujarati",
    "ha": "Hausa",
    "haw": "Hawaiian",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "ht": "Haitian Creole",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "jw": "Javanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "la": "Latin",
    "lb": "Luxembourgish",
    "ln": "Lingala",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mg": "Malagasy",
    "mi": "Maori",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "mt": "Maltese",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "nn": "Nynorsk",
    "no": "Norwegian",
    "oc": "Occitan",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sa": "Sanskrit",
    "sd": "Sindhi",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sn": "Shona",
    "so": "Somali",
    "sq": "Albanian",
    "sr": "Serbian",
    "su": "Sundanese",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "tg": "Tajik",
    "th": "Thai",
    "tk": "Turkmen",
    "tl": "Tagalog",
    "tr": "Turkish",
    "tt": "Tatar",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "yi": "Yiddish",
    "yo": "Yoruba",
    "yue": "Cantonese",
    "zh": "Chinese",
}
# What else people call them, themselves included.
_ALIASES = {
    **{"castilian": "es", "farsi": "fa", "filipino": "tl", "flemish": "nl", "haitian": "ht", "jv": "jw"},
    **{"letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro", "moldovan": "ro", "myanmar": "my"},
    **{"nb": "no", "bokmal": "no", "bokmål": "no", "panjabi": "pa", "pushto": "ps", "sinhalese": "si"},
    **{"valencian": "ca", "deutsch": "de", "français": "fr", "francais": "fr", "español": "es", "espanol": "es"},
    **{"italiano": "it", "português": "pt", "portugues": "pt", "nederlands": "nl", "polski": "pl", "svenska": "sv"},
    **{"dansk": "da", "norsk": "no", "suomi": "fi", "čeština": "cs", "magyar": "hu", "türkçe": "tr", "turkce": "tr"},
    **{"русский": "ru", "українська": "uk", "ελληνικά": "el", "日本語": "ja", "中文": "zh", "한국어": "ko"},
}
_CODES = {name.casefold(): code for code, name in NAMES.items()} | _ALIASES


def code(text: str) -> str | None:
    """The code of a language by its code (`de`, `de-DE`, `de_AT.UTF-8`) or its name (`German`); None where unknown."""
    wanted = text.strip().casefold()
    if wanted in NAMES:
        return wanted
    if wanted in _CODES:
        return _CODES[wanted]
    region = re.fullmatch(r"([a-z]{2,3})[-_][a-z]{2,4}(?:[-_.@].*)?", wanted)
    return code(region[1]) if region else None


def name(text: str) -> str:
    """What a model understands for a code (`de` → `German`); any other text, which may be a language too, as it is."""
    wanted = text.strip().casefold()
    known = wanted if wanted in NAMES else _CODES.get(wanted)
    return NAMES[known] if known else text.strip()
