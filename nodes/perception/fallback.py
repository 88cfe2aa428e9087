"""From which evidence are the words of a chunk read: sound and lips, either of them, or none?"""

from nodes.runtime.align import Chunk

MODES = {(True, True): "av", (True, False): "audio", (False, True): "video", (False, False): "none"}
# Quality a face must have to be taken up, and to be kept: blurred or turned faces hover about one threshold.
TAKE = 0.4
KEEP = 0.2


class Fallback:
    """``choose`` a mode for each chunk: "av", "audio", "video" or "none".

    Sound counts where a chunk has all of it, lips where a chunk has any picture and its faces are good enough
    on average.  The loss or return of either changes the mode with the chunk it happens in; only the quality
    of faces that are there has hysteresis.  Faces too poor to be kept say nothing, also when they are all
    there is.
    """

    def __init__(self) -> None:
        self._trusted = False

    def choose(self, chunk: Chunk) -> str:
        quality = face_quality(chunk)
        self._trusted = quality > 0 and quality >= (KEEP if self._trusted else TAKE)
        return MODES[chunk.samples is not None, self._trusted]


def face_quality(chunk: Chunk) -> float:
    """Mean quality 0..1 of the faces that the chunk has; 0 without any."""
    qualities = [face.quality for face in chunk.faces if face is not None]
    return sum(qualities) / len(qualities) if qualities else 0.0
