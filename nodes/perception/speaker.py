"""Who speaks: which of the faces in view has lips that go with the sound?  That one is read."""

import numpy as np

from nodes.perception.recogniser import Evidence
from nodes.perception.sync import TOGETHER, Sync
from nodes.runtime.facetrack import FaceId

# Another face is read instead once its agreement is so high, and so much higher than that of the one that is
# read, in so many chunks on end.
LEAST, LEAD, INSISTENCE = 0.28, 0.14, 2


class Speakers:
    """``push`` the evidence of each chunk; ``speaking`` tells it of each face, ``choose`` whom to read.

    onset: probability from which a frame counts as spoken.  A face that is missing in a chunk is waited for,
    in two on end it is forgotten; sound that is missing or starts anew forgets all.
    """

    def __init__(self, onset: float) -> None:
        self._onset = onset
        self._syncs: dict[FaceId, Sync] = {}
        self._missed: dict[FaceId, int] = {}
        self._lips: dict[FaceId, Evidence] = {}
        self._heard = False
        self._rival: FaceId | None = None
        self._insisted = 0

    def push(self, sound: Evidence | None, lips: dict[FaceId, Evidence], *, anew: bool = False) -> None:
        """anew: state kept of the sound before this chunk says nothing of it."""
        self._lips, self._heard = lips, sound is not None
        if sound is None or anew:
            self._syncs.clear()
        self._missed = {face: 0 if face in lips else self._missed.get(face, 0) + 1 for face in self._syncs}
        for face, missed in self._missed.items():
            if missed > 1:
                del self._syncs[face]
        if sound is None:
            return
        for face in lips:
            self._syncs.setdefault(face, Sync())
        for face, sync in self._syncs.items():
            seen = lips.get(face, _unseen(sound))
            sync.push(sound.agreement, seen.agreement, sound.voice >= self._onset, seen.there)

    def error_ms(self, face: FaceId | None) -> float | None:
        """How much later the picture is than the sound, by this face; None where it cannot be told."""
        sync = self._syncs.get(face) if face is not None else None
        return sync.error_ms() if sync is not None else None

    def speaking(self, voice: bool) -> dict[FaceId, bool | None]:
        """Whether each face in view is the one that speaks; None where that cannot be told yet.

        voice: somebody speaks.  A face that another outdoes by far does not.  Without sound, lips that move
        as in speech are taken at their word.
        """
        if not voice:
            return dict.fromkeys(self._lips, False)
        if not self._heard:
            return {face: bool(lips.voice.mean() >= self._onset) for face, lips in self._lips.items()}
        found = self.agreements()
        best = max((peak for peak in found.values() if peak is not None), default=TOGETHER)
        level = max(TOGETHER, best - LEAD)
        return {face: None if (peak := found[face]) is None else peak >= level for face in self._lips}

    def agreements(self) -> dict[FaceId, float | None]:
        """Mean likeness of each face's lips and the voice, None where it cannot be told."""
        return {face: sync.agreement() for face, sync in self._syncs.items()}

    def choose(self, read: FaceId) -> FaceId:
        """The face to read from here on: ``read``, unless the lips of another have insisted."""
        rival = self._rival_of(read)
        self._insisted = self._insisted + 1 if rival is not None and rival == self._rival else 1
        self._rival = rival
        return rival if rival is not None and self._insisted >= INSISTENCE else read

    def _rival_of(self, read: FaceId) -> FaceId | None:
        agreements = self.agreements()
        own = agreements.pop(read, 0.0)
        others = {face: found for face, found in agreements.items() if found is not None}
        if own is None or not others:
            return None
        best = max(others, key=lambda face: others[face])
        return best if others[best] >= max(LEAST, own + LEAD) else None


def _unseen(sound: Evidence) -> Evidence:
    return Evidence(np.zeros_like(sound.agreement), np.zeros_like(sound.voice), np.zeros_like(sound.there))
