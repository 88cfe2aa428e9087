"""What a node's slot tells of it, with the real face node."""

from types import MappingProxyType

import numpy as np

from nodes.runtime.graph import NodeSpec
from nodes.runtime.messages import FRAME_NS, Audio, Gap, Picture
from nodes.runtime.node import Context
from nodes.runtime.slot import Slot


def test_health_says_why_a_node_has_nothing_to_send_now():
    slot = Slot(
        NodeSpec(id="face", kind="perception/face", group="perceive"), lambda epoch: Context("face", epoch)
    )
    slot.open()
    times = {"stream": "camera", "seq": 0, "epoch": 0, "t_start_ns": 0, "t_end_ns": FRAME_NS}
    assert "gaps" not in slot.report()
    slot.inbox.append(Gap(**times, of="picture", reason="camera 0 not found"))
    slot.step(FRAME_NS)
    assert slot.report()["gaps"] == {"face": "camera 0 not found"}
    slot.inbox.append(Picture(**times, image=np.zeros((120, 160, 3), np.uint8)))
    slot.step(FRAME_NS)
    assert slot.report()["gaps"] == {"face": "no face"}
    slot.close()


class Flapping:
    """A source whose device came back three times, raising the epoch, before it fails."""

    inputs = ()
    outputs = ("audio",)

    def open(self, context):
        self.epochs = [context.epoch + i for i in range(4)]

    def step(self, messages):
        epoch = self.epochs.pop(0)
        times = {"t_start_ns": 0, "t_end_ns": FRAME_NS}
        return [Audio(stream="mic", seq=0, epoch=epoch, **times, samples=np.zeros(640, np.float32))]

    def close(self): ...


def test_a_node_that_is_opened_again_begins_above_every_epoch_it_has_used():
    spec = NodeSpec(id="mic", kind="tests.runtime.test_slot:Flapping", group="capture")
    slot = Slot(spec, lambda epochs: Context("mic", 4096 + epochs))
    slot.open()
    seconds = range(0, 60_000_000_000, 6_000_000_000)
    epochs = [m.epoch for now_ns in seconds for m in slot.step(now_ns) if isinstance(m, Audio)]
    assert epochs == sorted(set(epochs))
    assert epochs[:5] == [4096, 4097, 4098, 4099, 4100]


class Drifting(Flapping):
    """A source with a clock of its own."""

    clock = MappingProxyType({"rate_ppm": 20.0, "offset_ms": 7.0})


def test_a_devices_clock_is_told_in_health():
    spec = NodeSpec(id="mic", kind="tests.runtime.test_slot:Drifting", group="capture")
    slot = Slot(spec, lambda epochs: Context("mic", epochs))
    assert "clock" not in slot.report()
    slot.open()
    assert slot.report()["clock"] == Drifting.clock
