"""Small media files made on the fly, whose content and times are known exactly."""

from fractions import Fraction

import av
import numpy as np


def click(rate, seconds, at, channels=1, width=0.001):
    """float32 [channels, n]: silence with one smooth bump centred ``at`` seconds."""
    t = np.arange(int(rate * seconds)) / rate
    return np.tile(0.8 * np.exp(-(((t - at) / width) ** 2)), (channels, 1)).astype(np.float32)


def tone(rate, seconds, hertz=440.0):
    """float32 [1, n]."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)[None]


def grey(level, width=96, height=64):
    """uint8 [height, width, 3] of one shade."""
    return np.full((height, width, 3), level, np.uint8)


def write(
    path, sound=None, rate=48_000, pictures=None, sound_codec="pcm_s16le", sound_start=0.0, options=None
):
    """One file.

    sound: float32 [channels, n], or a list of (start in s, samples) for sound with holes.
    pictures: list of (time in s, uint8 [height, width, 3]).
    """
    with av.open(str(path), "w", options=options or {}) as container:
        tracks = []
        if pictures:
            tracks.append(_pictures(container, pictures))
        if sound is not None:
            runs = sound if isinstance(sound, list) else [(sound_start, sound)]
            tracks.append(_sound(container, runs, rate, sound_codec))
        # Every stream must exist before the first packet is muxed.
        packets = [packet for track in tracks for packet in track]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def _pictures(container, pictures):
    height, width = pictures[0][1].shape[:2]
    stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)

    def packets():
        for t, image in pictures:
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(t * 1000), Fraction(1, 1000)
            yield from stream.encode(frame)
        yield from stream.encode(None)

    return packets()


def _sound(container, runs, rate, codec):
    channels = runs[0][1].shape[0]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    stream = container.add_stream(codec, rate=rate, layout=layout)

    def packets():
        to_codec = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
        for start, samples in runs:
            for i in range(0, samples.shape[1], 1024):
                block = np.ascontiguousarray(samples[:, i : i + 1024])
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(start * rate) + i
                for ready in to_codec.resample(frame):
                    yield from stream.encode(ready)
        yield from stream.encode(None)

    return packets()
