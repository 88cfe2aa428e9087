"""Five points on a face, whether it is one, and which of them can be seen: small enough for every picture.

An hourglass of plain convolutions gives a 16x16 heat map for each point; the point is the map's centre of
mass (integral regression: Sun et al., ECCV 2018), so it is finer than a cell and moves smoothly as the face
does.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

CROP = 64
POINTS = 5
_CELLS = 16


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv(width, width), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.inner(x))


class LandmarkNet(nn.Module):
    """``image`` uint8 [n, 64, 64], grey, framed by ``nodes.perception.crop.face_framing``, gives

    points: float32 [n, 5, 2], x and y in pixels of the crop, in the order of ``messages.Face.landmarks``;
    presence: float32 [n], logit that this is a face and the crop frames it;
    visible: float32 [n, 5], logit for each point that it is neither covered nor out of the picture.
    """

    cells: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(1, 16, 2), conv(16, 24, 2), Residual(24))  # [n, 24, 16, 16]
        self.middle = nn.Sequential(conv(24, 48, 2), Residual(48))  # [n, 48, 8, 8]
        self.coarse = conv(48, 48, 2)  # [n, 48, 4, 4]
        self.to_fine = nn.Conv2d(48, 24, 1)
        self.head = nn.Sequential(conv(24, 24), nn.Conv2d(24, POINTS, 1))
        self.presence = nn.Sequential(nn.Linear(48 * 4 * 4, 24), nn.ReLU(), nn.Linear(24, 1))
        self.visible = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 1))
        # The centre of each cell in pixels of the crop.
        centres = (torch.arange(_CELLS) + 0.5) * (CROP / _CELLS) - 0.5
        self.register_buffer("cells", centres)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = image.float().unsqueeze(1)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(2, 3), keepdim=True).sqrt() + 4.0)  # 4 grey levels: no face, only noise
        fine = self.fine(x)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        presence = self.presence(coarse.flatten(1)).squeeze(1)
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = fine + F.interpolate(self.to_fine(middle), scale_factor=2.0, mode="nearest")
        heat = self.head(fine).flatten(2).softmax(dim=2)  # [n, 5, 256]
        # What each point looks like, where the map says it is.
        visible = self.visible(heat @ fine.flatten(2).transpose(1, 2)).squeeze(2)
        heat = heat.unflatten(2, (_CELLS, _CELLS))
        across = (heat.sum(dim=2) * self.cells).sum(dim=2)
        down = (heat.sum(dim=3) * self.cells).sum(dim=2)
        return torch.stack((across, down), dim=2), presence, visible
