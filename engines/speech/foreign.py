"""Digits as people say them whose language is another: respelt for espeak-ng's voices of these languages.

What makes an accent is the sounds that a language has, and a voice that reads its own spelling has no others:
a Greek three has a tongue's tip that taps, a French one an r of the throat, and an i that is never short.
"""

import numpy as np

from engines.speech import espeak
from engines.speech.vocabulary import DIGITS
from engines.speech.voices import Speech

# Zero to nine; spellings apart by / are ways to say it.
_SPELT = {
    "fr": "ziro/zéro ouane/ouan tou sri/tri/fri for/fort faïve sixe/sikse sévène/sévenne éïte/eïte naïne",
    "de": "siro/zihro uann/wann tu/tuh sri/tri/fri for/fohr faif/faiw sicks/siks sewen/sewwen äit/eht nain",
    "es": "sirou/cero uan/guan tu tri/sri/fri for faif/faiv siks/sics seben/seven eit/eits nain",
    "it": "ziro/zero uan tu tri/fri/sri for/foor faiv six/sics seven eit/eitt nain",
    "el": "ζίρο/ζέρο ουάν/γουάν του/τού θρι/θρή/τρι φορ/φόρ φάιβ σιξ/σίξ σέβεν έιτ νάιν",
    "pl": "ziro/zero łan/uan tu tri/fri/sri for fajw/fajf siks/syks sewen/sewyn ejt najn",
    "ru": "зиро/зэро уан/ван ту три/сри/фри фор файв/файф сикс севен/сэвэн эйт найн",
    "pt": "zirou/zero uane/uã tu tri/fri fór/for faive/faivi sics/siques séven/seven eite/eiti naine",
    "nl": "ziero/zero wan/oean toe srie/trie/frie for/foor faif/fijf siks sevven/seven eejt/eet najn/nain",
    "sv": "siro/siero oan/uan tu/to tri/fri/sri får/for fajv siks/sicks seven/sevven ejt najn",
    "tr": "ziro/zero van/uan tu/tuu tri/sri/fri for fayv/fayf siks seven/sevın eyt nayn",
    "hu": "ziró/zéró van/uan tú tri/szri/frí for/fór fájv sziksz szeven/szevön éjt/ejt nájn/najn",
    "fi": "siiro/sero uan/van tuu trii/srii/frii foor/for faiv siks seven/seeven eit/eitt nain",
    "ro": "ziro/zero uan/van tu/tuu tri/fri/sri for faiv/faif sics/six seven eit nain",
    "hi": "ज़ीरो/जीरो वन टू थ्री/तीरी फोर/फ़ोर फाइव सिक्स सेवन/सेवेन एट/एइट नाइन",
}
_VOICES = {
    "fr": ("roa/fr", "roa/fr-BE", "roa/fr-CH"), "es": ("roa/es", "roa/es-419"), "pt": ("roa/pt", "roa/pt-BR"),
    "de": ("gmw/de",), "it": ("roa/it",), "el": ("grk/el",), "pl": ("zlw/pl",), "ru": ("zle/ru",),
    "nl": ("gmw/nl",), "sv": ("gmq/sv",), "tr": ("trk/tr",), "hu": ("urj/hu",), "fi": ("urj/fi",),
    "ro": ("roa/ro",), "hi": ("inc/hi",),
}  # fmt: skip

SPELT = {
    language: dict(zip(DIGITS, (ways.split("/") for ways in line.split()), strict=True))
    for language, line in _SPELT.items()
}


def say(digits: list[str], language: str, variant: str, rng: np.random.Generator) -> tuple[Speech, str]:
    """The digits with the accent of ``language``, and the voice that said them.

    variant: one of espeak-ng's.  Raises PronunciationError where it did not speak word for word.
    """
    voice = f"{rng.choice(_VOICES[language])}+{variant}"
    spelt = [str(rng.choice(SPELT[language][digit])) for digit in digits]
    said = espeak.synthesiser().say(
        spelt,
        voice,
        rate=int(rng.integers(110, 220)),
        pitch=int(rng.integers(25, 76)),
        pitch_range=int(rng.integers(15, 86)),
    )
    words = tuple((digit, start, end) for digit, (_, start, end) in zip(digits, said.words, strict=True))
    return Speech(said.samples, words), voice
