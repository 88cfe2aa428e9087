"""What a node's slot tells of it, with the real face node."""

import numpy as np

from nodes.runtime.graph import NodeSpec
from nodes.runtime.messages import FRAME_NS, Gap, Picture
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
