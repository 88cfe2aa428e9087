"""Who is there, and whose voice it is: a state for each face, and one for somebody who is only heard."""

from nodes.perception.person import Person
from nodes.runtime.facetrack import FaceId
from nodes.runtime.messages import Voice

MOST = 8  # people remembered
FORGOTTEN_NS = 10_000_000_000  # out of sight and silent for so long
SILENT_NS = 3_000_000_000  # after such a pause the next voice may be anybody's
INSISTENCE = 3  # chunks in a row that another face must be the one speaking


class People:
    """``speaker`` settles each chunk who speaks; ``of`` gives a person's state.

    speaker_changed: with the last call of ``speaker`` another person began to speak.
    """

    def __init__(self) -> None:
        self.speaker_changed = False
        self._people: dict[FaceId | None, Person] = {}
        self._known_ns: dict[FaceId | None, int] = {}
        self._speaker: FaceId | None = None
        self._spoke_ns: int | None = None
        self._rival: FaceId | None = None
        self._insisted = 0

    def of(self, which: FaceId | None, t_ns: int) -> Person:
        """A face's state, or for None that of somebody unseen; new where there is none."""
        self._known_ns[which] = t_ns
        if which not in self._people:
            self._people[which] = Person()
        return self._people[which]

    def known(self) -> list[tuple[FaceId | None, Person]]:
        return list(self._people.items())

    def speaker(self, voice: Voice | None, seen: list[FaceId], t_ns: int) -> FaceId | None:
        """Whose the voice is; None for somebody unseen.

        A speaker who goes out of sight remains the speaker until a pause; somebody unseen whose face turns up
        brings their state along.
        """
        self.speaker_changed = False
        if voice is None or not voice.speaking:
            if self._spoke_ns is not None and t_ns - self._spoke_ns > SILENT_NS and self._speaker not in seen:
                self._speaker = None
            return self._speaker
        paused = self._spoke_ns is None or t_ns - self._spoke_ns > SILENT_NS
        self._spoke_ns = t_ns
        claimed = _speaking(voice, seen)
        if claimed is None or claimed == self._speaker:
            self._rival, self._insisted = None, 0
            if claimed is None and paused and not seen:
                self._change(None)
            return self._speaker
        self._insisted = self._insisted + 1 if claimed == self._rival else 1
        self._rival = claimed
        if self._speaker is None and None in self._people and not paused:
            # The unseen voice has got a face.
            self._people[claimed] = self._people.pop(None)
            self._known_ns[claimed] = t_ns
            self._speaker = claimed
        elif paused or self._speaker not in seen or self._insisted >= INSISTENCE:
            self._change(claimed)
        return self._speaker

    def forget(self, t_ns: int) -> None:
        """Those of whom nothing was known for long, and the longest unknown beyond ``MOST``."""
        by_age = sorted(self._known_ns, key=lambda which: self._known_ns[which])
        spare = len(by_age) - MOST
        for i, which in enumerate(by_age):
            if i < spare or t_ns - self._known_ns[which] > FORGOTTEN_NS:
                del self._people[which], self._known_ns[which]

    def _change(self, speaker: FaceId | None) -> None:
        self.speaker_changed = speaker != self._speaker
        self._speaker, self._rival, self._insisted = speaker, None, 0


def _speaking(voice: Voice, seen: list[FaceId]) -> FaceId | None:
    """The face in view that speaks, or else the one that is read unless it is known not to speak."""
    certain = next((which for which in seen if voice.faces.get(which[2])), None)
    if certain is not None:
        return certain
    read = next((which for which in seen if which[2] == voice.face), None)
    return read if read is not None and voice.faces.get(read[2]) is not False else None
