"""English sentences by voices of other languages: festival's Italian, Czech and Finnish diphone voices.

An American voice gives the phones, their lengths and their pitch; each phone becomes the nearest one, or
two, that the other language has, and its voice speaks them. What is nearest, people do not agree on ("three"
is tree, free or sree): every sentence draws its own, so that accents are stronger and lighter. The lengths
stay, and so do the words' times.
"""

import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from engines.speech import festival
from engines.speech.voices import PronunciationError, Speech, named, respell, to_rate
from nodes.runtime.errors import UserError

VOICE_FOLDER = Path("/usr/share/festival/voices")
PACKAGES = {
    "lp_diphone": "festvox-italp16k",
    "pc_diphone": "festvox-itapc16k",
    "czech_dita": "festvox-czech-dita",
    "czech_krb": "festvox-czech-krb",
    "czech_machac": "festvox-czech-machac",
    "czech_ph": "festvox-czech-ph",
    "hy_fi_mv_diphone": "festvox-suopuhe-mv",
    "suo_fi_lj_diphone": "festvox-suopuhe-lj",
}
DEBIAN = " ".join(["festival", "festvox-kallpc16k", *PACKAGES.values()])

# About what each voice's owner speaks at, in Hz.
_PITCH = {
    "lp_diphone": 195,
    "pc_diphone": 120,
    "czech_dita": 220,
    "czech_krb": 255,
    "czech_machac": 90,
    "czech_ph": 130,
    "hy_fi_mv_diphone": 90,
    "suo_fi_lj_diphone": 190,
}
_AMERICAN_PITCH = 105
_LENGTHS = {"_": 0.3, "#": 0.3, "i": 0.7, "j": 0.7, "u": 0.7}  # of a phone that has others beside it
_VOWELS = frozenset(
    ("aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw")
)

# For each English phone what may stand for it, as often as it is named here ("a+i": two phones, "-": none);
# after ";", what does only where two neighbours were never recorded together.
_ITALIAN = {
    "aa": "a1 O1 ; a O", "ae": "E1 a1 e1 ; E a", "ah": "a1 O1 ; a o", "ao": "O1 o1 ; O o",
    "aw": "a1+u a1+o ; a+u", "ax": "a e o ; E", "ay": "a1+i ; a+i a1+j", "eh": "E1 e1 ; E e",
    "er": "E1+r e1+r O1+r ; E+r e+r", "ey": "e1+i E1+i e1 ; e+i", "ih": "i1 i1 i1 e1 ; i", "iy": "i1 ; i",
    "ow": "o1+u O1+u o1 ; o+u", "oy": "o1+i O1+i ; o+i", "uh": "u1 o1 ; u", "uw": "u1 ; u", "b": "b",
    "ch": "tS ; tS+e", "d": "d", "dh": "d d z v", "f": "f", "g": "g", "hh": "-", "jh": "dZ", "k": "k",
    "l": "l", "m": "m", "n": "n", "ng": "n+g n+k n", "p": "p", "r": "r", "s": "s s s z", "sh": "S s",
    "t": "t", "th": "t s f", "v": "v", "w": "w u v", "y": "j ; i", "z": "z dz s", "zh": "Z dZ z", "pau": "#",
}  # fmt: skip
_CZECH = {
    "aa": "a: o a", "ae": "e a e:", "ah": "a o ; a:", "ao": "o: o", "aw": "a+u ; a+u:", "ax": "e a o",
    "ay": "a+j ; a+i a:+j", "eh": "e ; e:", "er": "e+r o+r ; e:+r", "ey": "e+j e: ; e+i", "ih": "i ; i:",
    "iy": "i: ; i", "ow": "o+u o: ; o", "oy": "o+j ; o+i", "uh": "u ; u:", "uw": "u: u", "b": "b ; p",
    "ch": "c~ ; t+s~", "d": "d ; t", "dh": "d z ; t", "f": "f ; v", "g": "g ; k", "hh": "h ch",
    "jh": "dz~ d+z~ ; c~", "k": "k ; g", "l": "l", "m": "m", "n": "n", "ng": "n*+g n*+k n+g ; n+k n",
    "p": "p ; b", "r": "r", "s": "s ; z", "sh": "s~ ; z~", "t": "t ; d", "th": "t s f ; d z v",
    "v": "v ; f", "w": "v u ; f", "y": "j ; i", "z": "z ; s", "zh": "z~ ; s~", "pau": "#",
}  # fmt: skip
_FINNISH = {
    "aa": "a: a", "ae": "@ e ; @:", "ah": "a @ ; a:", "ao": "o: o", "aw": "a+u ; a:+u", "ax": "e a 7",
    "ay": "a+i @+i ; a:+i", "eh": "e @ ; e:", "er": "7+r e+r 7:", "ey": "e+i e:", "ih": "i ; i:",
    "iy": "i: ; i", "ow": "o+u o: ; o", "oy": "o+i ; o:+i", "uh": "u ; u:", "uw": "u: ; u", "b": "b ; p",
    "ch": "t+S t+s", "d": "d ; t", "dh": "d t ; T", "f": "f ; v", "g": "g ; k", "hh": "h",
    "jh": "d+S d+s d+j ; t+s", "k": "k", "l": "l", "m": "m", "n": "n ; N", "ng": "N N+g n+g ; N+k n",
    "p": "p", "r": "r", "s": "s", "sh": "S s", "t": "t", "th": "T t s f", "v": "v", "w": "v u w",
    "y": "j ; i", "z": "s", "zh": "S s", "pau": "#",
}  # fmt: skip

_PHONES = """
(voice_kal_diphone)
(define (phones_of n stretch text)
  (Parameter.set 'Duration_Stretch stretch)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (format t "utterance %d\\n" n)
    (mapcar (lambda (phone) (format t "phone %s %f\\n" (item.name phone) (item.feat phone "end")))
            (utt.relation.items utt 'Segment))
    (mapcar (lambda (target) (format t "pitch %f %f\\n" (item.feat target "pos") (item.feat target "f0")))
            (utt.relation.leafs utt 'Target))
    (mapcar (lambda (word)
              (format t "word %f %f\\n" (item.feat word "word_start") (item.feat word "word_end")))
            (utt.relation.items utt 'Word))))
"""
_SPEAK = """
;; As festival's own, but quieter: some of these recordings, joined, go over the top of 16 bits.
(defSynthType UniSyn
  (Param.def "unisyn.window_name" "hanning")
  (Param.def "unisyn.window_factor" 1.0)
  (us_get_diphones utt)
  (mapcar (lambda (unit) (item.set_feat unit "sig" (wave.rescale (wave.copy (item.feat unit "sig")) 0.1)))
          (utt.relation.items utt 'Unit))
  (us_unit_concat utt)
  (targets_to_f0 utt)
  (us_f0_to_pitchmarks utt 'f0 'TargetCoef (+ (item.feat (utt.relation.last utt 'Segment) "end") 0.02))
  (us_mapping utt 'segment_single)
  (us_generate_wave utt 'lpc 'analysis_period)
  utt)
(voice_{voice})
(define (speak n phones)
  (utt.save.wave (utt.synth (eval (list 'Utterance 'Segments phones)))
                 (format nil "{folder}/%d.wav" n) 'riff))
"""


@dataclass(frozen=True)
class _Spoken:
    """A sentence in phones: (phone, end), pitch (seconds, Hz) and the words' (start, end) in seconds."""

    phones: list[tuple[str, float]]
    pitch: list[tuple[float, float]]
    words: list[tuple[float, float]]


def installed() -> list[str]:
    """The voices of other languages that are on this machine."""
    return [voice for voice in PACKAGES if list(VOICE_FOLDER.glob(f"*/{voice}/group/*.group"))]


@cache
def joints(voice: str) -> frozenset[str]:
    """The pairs of phones ("a-b") that were recorded of `voice`.

    Raises UserError where it is not installed.
    """
    for path in VOICE_FOLDER.glob(f"*/{voice}/group/*.group"):
        header, _, body = path.read_bytes().partition(b"EST_Header_End\n")
        count = int(header.split(b"NumEntries ")[1].split()[0])
        return frozenset(line.split()[0].decode("latin1") for line in body.split(b"\n", count)[:count])
    package = PACKAGES.get(voice, DEBIAN)
    raise UserError(f"festival has no voice {voice}; remedy: apt-get install {package}")


def _accent(voice: str, rng: np.random.Generator) -> dict[str, list[list[str]]]:
    """English phone: what stands for it in one sentence, followed by what else may."""
    table = _CZECH if voice.startswith("czech") else _FINNISH if "_fi_" in voice else _ITALIAN
    accent = {}
    for phone, targets in table.items():
        usual, _, spare = targets.partition(";")
        drawn = list(dict.fromkeys(rng.permutation(usual.split()).tolist()))
        accent[phone] = [target.split("+") for target in drawn + spare.split()]
    return accent


def _joined(
    phones: Sequence[str], accent: dict[str, list[list[str]]], joints: frozenset[str]
) -> list[list[str]]:
    """What stands for each phone so that the joints were recorded; what `accent` names first where it can.

    Raises PronunciationError where there is no such way.
    """
    best: list[tuple[int, list[list[str]]]] = [(0, [[]])]
    for phone in phones:
        reached = []
        for preference, target in enumerate(accent[phone]):
            ways = []
            for before, path in best:
                bridge = _bridge(path[-1][-1:], target, joints)
                if bridge is not None:
                    ways.append((before + preference + 3 * len(bridge), [*path, bridge + target]))
            if ways:
                reached.append(min(ways, key=lambda way: way[0]))
        best = reached
        if not best:
            raise PronunciationError(f"no joint was recorded for {phone} in {' '.join(phones)}")
    return min(best, key=lambda way: way[0])[1][1:]


def _bridge(before: list[str], target: list[str], joints: frozenset[str]) -> list[str] | None:
    """What goes between `before` (one phone or none) and `target`: nothing or a stop; None: no joint."""
    if any(f"{left}-{right}" not in joints for left, right in pairwise(target)):
        return None
    right = target[0]
    # One phone twice is one long phone. Next to a pause festival puts silence where half a phone is missing.
    if not before or f"{before[0]}-{right}" in joints or right in before or "#" in (before[0], right):
        return []
    stops = [stop for stop in "_#" if {f"{before[0]}-{stop}", f"{stop}-{right}"} <= joints]
    return stops[:1] or None


def _without_lost(
    phones: Sequence[tuple[str, float]], accent: dict[str, list[list[str]]], rhotic: bool
) -> list[tuple[str, float]]:
    """`phones` less those that the accent does not speak; the phone before has their time."""
    kept: list[tuple[str, float]] = []
    for number, (phone, end) in enumerate(phones):
        after = phones[number + 1][0] if number + 1 < len(phones) else "pau"
        lost = accent[phone][0] == ["-"]
        lost |= phone == "r" and not rhotic and bool(kept) and kept[-1][0] in _VOWELS and after not in _VOWELS
        if lost and kept:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((phone, end))
    return kept


def _segments(spoken: _Spoken, voice: str, rng: np.random.Generator) -> str:
    """What festival's `Segments` utterance takes: phones, their lengths and pitch, for `voice`."""
    accent = _accent(voice, rng)
    phones = _without_lost(spoken.phones, accent, rhotic=rng.random() < 0.6)
    targets = _joined([phone for phone, _ in phones], accent, joints(voice))
    usual, liveliness = _PITCH[voice] * rng.uniform(0.88, 1.15), rng.uniform(0.6, 1.6)
    pitch = [(time, usual * (hertz / _AMERICAN_PITCH) ** liveliness) for time, hertz in spoken.pitch]
    said: list[tuple[str, float, float]] = []
    for (_, end), target in zip(phones, targets, strict=True):
        start = said[-1][2] if said else 0.0
        lengths = np.array([_LENGTHS.get(name, 1.0) for name in target])
        stops = start + (end - start) * np.cumsum(lengths) / lengths.sum()
        for name, stop in zip(target, stops.tolist(), strict=True):
            if said and said[-1][0] == name and f"{name}-{name}" not in joints(voice):
                said[-1] = (name, said[-1][1], stop)
            else:
                said.append((name, said[-1][2] if said else 0.0, stop))
    text = ""
    for name, begin, stop in said:
        here = [f"({time - begin:.4f} {hertz:.1f})" for time, hertz in pitch if begin <= time < stop]
        text += f"({name} {stop - begin:.4f} {' '.join(here)}) "
    return f"({text})"


def _in_phones(sentences: Sequence[str], stretches: Sequence[float], folder: str) -> list[_Spoken]:
    """The sentences in the American voice's phones."""
    script = _PHONES
    for index, (sentence, stretch) in enumerate(zip(sentences, stretches, strict=True)):
        script += f'(phones_of {index} {stretch:.3f} "{sentence}")\n'
    spoken = []
    for block in festival.run(script, folder, "kal_diphone", DEBIAN).split("utterance ")[1:]:
        lines = [line.split() for line in block.splitlines()[1:]]
        spoken.append(
            _Spoken(
                [(line[1], float(line[2])) for line in lines if line[0] == "phone"],
                [(float(line[1]), float(line[2])) for line in lines if line[0] == "pitch"],
                [(float(line[1]), float(line[2])) for line in lines if line[0] == "word"],
            )
        )
    return spoken


def say(
    sentences: Sequence[Sequence[str]],
    voice: str,
    *,
    stretches: Sequence[float],
    commas: Sequence[frozenset[int]],
    rng: np.random.Generator,
) -> list[Speech | None]:
    """Speaks every sentence with `voice`'s accent; None where it could not be spoken word for word."""
    joints(voice)
    with tempfile.TemporaryDirectory() as folder:
        texts = [respell(sentence, pauses) for sentence, pauses in zip(sentences, commas, strict=True)]
        script, times = _SPEAK.format(folder=folder, voice=voice), {}
        for index, spoken in enumerate(_in_phones(texts, stretches, folder)):
            try:
                script += f"(speak {index} '{_segments(spoken, voice, rng)})\n"
                times[index] = named(sentences[index], spoken.words, "festival")
            except PronunciationError:
                continue
        festival.run(script, folder, voice, DEBIAN)
        said: list[Speech | None] = [None] * len(sentences)
        for index, words in times.items():
            with wave.open(f"{folder}/{index}.wav") as file:
                pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
                samples = to_rate(pcm, file.getframerate())
            # A joint of phones that do not fit makes the filter ring: a click far above the speech.
            loud = 2 * float(np.percentile(np.abs(samples), 99.5))
            said[index] = Speech(np.clip(samples, -loud, loud), words)
        return said
