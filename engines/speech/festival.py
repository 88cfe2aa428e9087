"""Speech by festival (diphone voices and one HTS voice), one process for a batch of sentences."""

import subprocess
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.speech.voices import DEBIAN, PronunciationError, Speech, named, respell, to_rate
from nodes.runtime.errors import UserError

VOICES = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")

_SCRIPT = """
(define (say_one n stretch text)
  (Parameter.set 'Duration_Stretch stretch)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt (format nil "{folder}/%d.wav" n) 'riff)
    (format t "utterance %d\\n" n)
    (mapcar (lambda (word) (format t "%f %f\\n" (item.feat word "word_start") (item.feat word "word_end")))
            (utt.relation.items utt 'Word))))
(voice_{voice})
"""


def say(
    sentences: Sequence[Sequence[str]],
    voice: str,
    *,
    stretches: Sequence[float],
    commas: Sequence[frozenset[int]],
) -> list[Speech | None]:
    """Speaks every sentence with one festival process; None where it did not speak word for word."""
    with tempfile.TemporaryDirectory() as folder:
        script = _SCRIPT.format(folder=folder, voice=voice)
        for index, sentence in enumerate(sentences):
            script += f'(say_one {index} {stretches[index]:.3f} "{respell(sentence, commas[index])}")\n'
        output = run(script, folder, voice, DEBIAN)
        spoken: list[Speech | None] = []
        for block in output.split("utterance ")[1:]:
            number, *lines = block.strip().splitlines()
            times = [(float(start), float(end)) for start, end in (line.split()[:2] for line in lines)]
            try:
                words = named(sentences[int(number)], times, "festival")
            except PronunciationError:
                spoken.append(None)
                continue
            with wave.open(f"{folder}/{number}.wav") as file:
                pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
                spoken.append(Speech(to_rate(pcm, file.getframerate()), words))
        return spoken


def run(script: str, folder: str, voice: str, packages: str) -> str:
    """What festival prints when it runs `script`, which it keeps in `folder`.

    Raises UserError, naming `voice` and the Debian `packages` that hold it, where festival gives up.
    """
    path = Path(folder) / "say.scm"
    path.write_text(script)
    command = ["festival", "--batch", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[0]
        raise UserError(f"festival cannot speak with {voice}: {why}; apt-get install {packages}") from None
    return done.stdout
