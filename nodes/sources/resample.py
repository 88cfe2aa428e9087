"""How does sound of any rate and channel count become 16 kHz mono?  By libswresample, as a stream."""

import av
import numpy as np
from numpy.typing import NDArray

from nodes.runtime.messages import SAMPLE_RATE


class Resampler:
    """A stream of frames in, float32 [n] in -1..1 at 16 kHz mono out.

    The polyphase filter has no delay in time: output sample k lies exactly k/16000 s after the first input
    sample.  It only holds back what it still needs to see, at most 2 ms of sound from 8 kHz upwards.
    Channels are mixed as ITU-R BS.775 says.  All frames must have the format, layout and rate of the first.
    """

    def __init__(self) -> None:
        # To integers, because libswresample keeps a mix of several channels within full scale only then.
        self._resampler = av.AudioResampler(format="s32", layout="mono", rate=SAMPLE_RATE)

    def feed(self, frame: av.AudioFrame) -> NDArray[np.float32]:
        """What became ready with this frame; the frame's own ``pts`` plays no part."""
        frame.pts = None
        return self._joined(self._resampler.resample(frame))

    def flush(self) -> NDArray[np.float32]:
        """The rest, when the stream ends here; the resampler takes nothing after."""
        return self._joined(self._resampler.resample(None))

    @staticmethod
    def _joined(frames: list[av.AudioFrame]) -> NDArray[np.float32]:
        parts = [frame.to_ndarray()[0].astype(np.float32) / np.float32(2**31) for frame in frames]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


def mono_frame(samples: NDArray[np.float32], rate: int) -> av.AudioFrame:
    """float32 [n, channels] as one frame of its channels' mean.

    For devices, which tell how many channels they have and never what each one is.
    """
    frame = av.AudioFrame.from_ndarray(
        samples.mean(axis=1, dtype=np.float32)[np.newaxis], format="flt", layout="mono"
    )
    frame.rate = rate
    return frame
