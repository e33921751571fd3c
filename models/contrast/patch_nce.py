"""PatchNCE: a place of the output is to be recognised among other places of the input, by features
of the generator's encoder (Park et al. 2020, sections 3.1 and 3.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from models.features import FeatureNet, Layer
from util.errors import UserError


def layers_to_compare(net: nn.Module, netG: str, named: Sequence[str] | None) -> list[Layer]:
    """The layers of a generator at which its input and output are compared.

    Args:
        netG: what the generator is called, for messages.
        named: by their names; None: those that the network proposes, its `contrast_layers`.

    Raises:
        UserError: the network has no such layer, or proposes none.
    """
    known = {str(layer): layer for layer in getattr(net, "feature_layers", ())}
    if not isinstance(net, FeatureNet):
        raise UserError(f"--netG {netG}: gives no features to compare; choose a resnet")
    wanted = [str(layer) for layer in net.contrast_layers] if named is None else list(named)
    if missing := [name for name in wanted if name not in known]:
        why = f"--nce_layers {missing[0]}: no layer of --netG {netG}"
    elif len(set(wanted)) < len(wanted):
        why = f"--nce_layers {' '.join(wanted)}: a layer is named twice"
    elif not wanted:
        why = f"--netG {netG}: name the layers to compare by --nce_layers"
    else:
        return [known[name] for name in wanted]
    raise UserError(f"{why}; accepted: {', '.join(known)}")


def draw_places(features: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
    """For each layer `count` different places, or all if there are fewer; by torch's random numbers
    on the CPU, whatever the device.

    Args:
        features: (N, C, h, w) each.

    Returns: indices into the h * w places, (min(count, h * w),) each.
    """
    drawn = [torch.randperm(x.shape[2] * x.shape[3])[:count] for x in features]
    return [ids.to(x.device) for ids, x in zip(drawn, features, strict=True)]


def at_places(
    features: Sequence[torch.Tensor], places: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """The vectors of features (N, C, h, w) at places (P,), the same ones for all images of a batch:
    (N, P, C) for each layer."""
    pairs = zip(features, places, strict=True)
    return [x.flatten(2).index_select(2, ids).transpose(1, 2) for x, ids in pairs]


class PatchHeads(nn.Module):
    """A two-layer perceptron for each layer, H_l in the paper: (N, P, C_l) -> (N, P, width).

    Args:
        channels: C_l of each layer.
        width: of the hidden layer and the output.
    """

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width)) for c in channels
        )

    def forward(self, vectors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Of all layers."""
        return [head(x) for head, x in zip(self.heads, vectors, strict=True)]


def patch_nce(queries: torch.Tensor, keys: torch.Tensor, temperature: float = 0.07) -> torch.Tensor:
    """Cross entropy of finding each query's own place among all places of its image (equation 3).

    Args:
        queries, keys: (N, P, C) of any length but 0, at the same places; no gradient flows into
            keys.

    Returns: the mean over places and images. ln P if all vectors are equal.
    """
    q, k = F.normalize(queries, dim=2), F.normalize(keys.detach(), dim=2)
    logits = q @ k.transpose(1, 2) / temperature  # (N, P, P); on the diagonal a place meets itself
    own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    return F.cross_entropy(logits.flatten(0, 1), own.flatten())
