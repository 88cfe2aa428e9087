"""Whatever a file's timestamps are like, both ports come out in order, side by side, holes told."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nodes.sources.container import MediaInfo
from nodes.sources.timeline import PATIENCE_NS, PORTS, Piece, interleave

MS = 1_000_000
INFO = MediaInfo("clip.mp4", 0, sound=True, picture=True)
BLOCK, IMAGE = np.zeros(1, np.float32), np.zeros((1, 1, 3), np.uint8)


@st.composite
def pieces(draw, port, longest_ms):
    """In order, without overlap, with holes up to two seconds anywhere."""
    t, made = 0, []
    for hole, length in draw(
        st.lists(
            st.tuples(st.sampled_from([0, 0, 0, 7, 33, 90, 2000]), st.integers(1, longest_ms)), max_size=40
        )
    ):
        start = t + hole * MS
        t = start + length * MS
        made.append(
            Piece(t, port, start, t, BLOCK) if port == "audio" else Piece(start, port, start, t, IMAGE)
        )
    return made


def times(pieces):
    return [piece[:4] for piece in pieces]


@given(sound=pieces("audio", 40), pictures=pieces("picture", 200))
def test_everything_comes_out_once_in_order_and_side_by_side(sound, pictures):
    out = list(interleave(INFO, sound, pictures))
    given = [p for p in out if not isinstance(p.content, str)]
    assert times(p for p in given if p.port == "audio") == times(sound)
    assert times(p for p in given if p.port == "picture") == times(pictures)
    ends = dict.fromkeys(PORTS, 0)
    for piece in out[:-50]:
        open_hole = piece.t_start_ns - ends[piece.port]
        assert open_hole == 0 if piece.port == "audio" else 0 <= open_hole < PATIENCE_NS
        assert piece.t_start_ns < piece.t_end_ns
        ends[piece.port] = piece.t_end_ns
        # A hole is told of as soon as it is certain, whatever the other port does.
        assert piece.due_ns - min(ends.values()) <= PATIENCE_NS + 40 * MS
    assert ends["audio"] == ends["picture"]
    assert all(p.content == "end of file" and p.t_end_ns - p.t_start_ns == 40 * MS for p in out[-50:])
