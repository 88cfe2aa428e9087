"""What the one who speaks sounds like and says: evidence of voice and words for their state."""

from collections import deque

from engines.sentiment.words.corpora import BEFORE
from engines.sentiment.words.subwords import words_of
from nodes.perception.experts import Experts
from nodes.perception.person import SECOND, Person
from nodes.runtime.align import Chunk
from nodes.runtime.messages import CHUNK_NS, Transcript, Voice

ENOUGH_S = 1.5  # of a voice until it counts in full
PAUSE_NS = 3 * SECOND  # after which a voice is listened to afresh
FEW = 2  # words until they count in full


class Conversation:
    """voice: what is known of the current chunk; ``say`` what was understood, ``hear`` the sound."""

    def __init__(self, experts: Experts) -> None:
        self.voice: Voice | None = None
        self._experts = experts
        self._before: deque[list[str]] = deque(maxlen=BEFORE)
        self._said: Transcript | None = None
        self._unread = False
        self._heard_ns = 0
        self._quiet_ns = 0

    def forget(self) -> None:
        """Another person speaks: their voice is another, what was said before still is what was said."""
        self._experts.forget_voice()
        self._heard_ns = 0

    def say(self, transcript: Transcript) -> None:
        if self._said is not None and transcript.segment != self._said.segment:
            self._before.append(words_of(self._said.text))
        self._said, self._unread = transcript, bool(transcript.words)

    def hear(self, chunk: Chunk, person: Person) -> None:
        """One more chunk of sound; in speech the voice expert's opinion goes to ``person``."""
        if chunk.samples is None or chunk.audio_reset:
            self.forget()
        if chunk.samples is None:
            return
        speaking = self.voice is not None and self.voice.speaking and "a" in self.voice.mode
        if not speaking:
            self._experts.pass_over(chunk.samples)
            self._quiet_ns += CHUNK_NS
            if self._quiet_ns > PAUSE_NS and self._heard_ns:
                self.forget()
            return
        self._quiet_ns = 0
        self._heard_ns += CHUNK_NS
        trust = min(1.0, self._heard_ns / (ENOUGH_S * SECOND))
        person.learn("voice", self._experts.hear(chunk.samples), trust, chunk.t_end_ns)

    def read(self, person: Person, t_ns: int) -> None:
        """What was understood since the last time, for ``person``; nothing where that is nothing."""
        if not self._unread or self._said is None:
            return
        self._unread = False
        words, before = words_of(self._said.text), [word for said in self._before for word in said]
        sure = sum(word.confidence for word in self._said.words) / len(self._said.words)
        trust = sure * min(1.0, len(words) / FEW)
        person.learn("words", self._experts.read(words, before), trust, t_ns)
