"""When the transcribe node runs each engine, and when the engine's state starts anew."""

import pytest
from transcribed import SENTENCE, crowd, hear, lips, opened, replay, said, scripted, see, talk, voices

from engines.engine import open_engine
from nodes.perception.recogniser import CARRY_ON
from nodes.perception.transcribe import Transcribe

engines = pytest.fixture(scripted, scope="module")


class Recorder:
    """An engine that notes how many chunks its state has seen each time it is run."""

    def __init__(self, path, require=None):
        self.engine = open_engine(path, require)
        self.inputs, self.outputs = self.engine.inputs, self.engine.outputs
        self.metadata, self.backend = self.engine.metadata, self.engine.backend
        self.seen = []

    def run(self, feeds):
        self.seen.append(int(feeds["state_seen"][0, 0]))
        return self.engine.run(feeds)


@pytest.fixture
def recorded(monkeypatch):
    made = {}

    def opening(path, require=None):
        made[path.stem] = Recorder(path, require)
        return made[path.stem]

    monkeypatch.setattr(Transcribe, "opener", opening)
    return made


def test_engines_run_only_on_evidence_and_start_anew_after_a_hole(engines, recorded):
    sound, faces = hear(said(), cut=(3.2, 3.7)), see(lips(), cut=(0.8, 1.6))
    out = replay(opened(engines), sound, faces)
    chunks = len(voices(out))
    # 25 chunks; sound is missing in chunks 20 to 23, faces in 5 to 9.
    assert recorded["audio"].seen == [*range(20), *range(chunks - 24)]
    assert recorded["video"].seen == [*range(5), *range(chunks - 10)]
    assert recorded["fusion"].seen == [*range(20), *range(chunks - 24)]


def test_one_missing_chunk_resets_nothing(engines, recorded):
    out = replay(opened(engines), hear(said(), cut=(1.62, 1.64)), see(lips(), cut=(2.4, 2.56)))
    chunks = len(voices(out))
    assert recorded["audio"].seen == [*range(chunks - 1)]
    assert recorded["video"].seen == [*range(chunks - 1)]
    assert recorded["fusion"].seen == [*range(chunks - 1)]


def test_lips_that_stay_away_leave_the_words_to_the_audio_engine(engines, recorded):
    script = [*SENTENCE, *SENTENCE]
    out = replay(opened(engines), hear(said(script)), see(lips(script), cut=(0.8, 5.6)))
    # Chunks 0 to 4 with lips, two seconds more without them; from chunk 35 on with lips again.
    assert recorded["fusion"].seen == [*range(5 + CARRY_ON - 1), *range(len(voices(out)) - 35)]


def test_each_face_keeps_its_own_state_while_another_is_read(engines, recorded):
    replay(opened(engines), hear(said(talk(1))), crowd(talk(2), talk(1)))
    seen = recorded["video"].seen
    assert len(seen) >= 60
    assert seen == [i for i in range(len(seen) // 2) for _ in range(2)]
    fused = recorded["fusion"].seen
    assert fused.count(0) == 2, "the fusion starts anew with the other face, once"
