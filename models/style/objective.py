"""What style transfer minimises (style and neural_style)."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from models.style.perceptual import (
    ContentLoss,
    Extractor,
    GramLoss,
    TotalVariationLoss,
    gram_matrix,
)


def make_objective(flags: dict[str, Any]) -> "StyleObjective":
    """The objective that completed flags (see `style_flags.settings`) describe."""
    extractor = Extractor(
        flags["perceptual_net"],
        flags["perceptual_weights"],
        flags["perceptual_input"],
        [*flags["content_layers"], *flags["style_layers"]],
        flags["pooling"],
        flags["seed"],
    )
    weights = zip(flags["style_layers"], flags["style_layer_weights"], strict=True)
    return StyleObjective(
        extractor,
        dict.fromkeys(flags["content_layers"], flags["content_weight"]),
        {layer: weight * flags["style_weight"] for layer, weight in weights},
        flags["gram_norm"],
        flags["tv_weight"],
    )


class StyleObjective(nn.Module):
    """Content, style and smoothness of a picture, each term by name.

    Args:
        extractor: must compute all the layers below.
        content_layers, style_layers: layer -> weight.
        gram_norm: see `gram_matrix`.
        tv_weight: of the total variation; 0: no such term.
    """

    def __init__(
        self,
        extractor: Extractor,
        content_layers: dict[str, float],
        style_layers: dict[str, float],
        gram_norm: str,
        tv_weight: float,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.content = nn.ModuleDict({name: ContentLoss(w) for name, w in content_layers.items()})
        self.style = nn.ModuleDict(
            {name: GramLoss(w, gram_norm) for name, w in style_layers.items()}
        )
        self.tv = TotalVariationLoss(tv_weight) if tv_weight else None

    def names(self) -> list[str]:
        """The terms: content, style_<layer>, tv (if it has a weight)."""
        styles = [f"style_{name}" for name in self.style]
        return ["content", *styles, *(["tv"] if self.tv else [])]

    @torch.no_grad()
    def content_targets(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Layer -> features of the content image."""
        features = self.extractor(image)
        return {name: features[name] for name in self.content}

    @torch.no_grad()
    def style_targets(self, images: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Layer -> Gram matrices (S, C, C) of S style images (1, 3, H, W) of any size."""
        each = [self.extractor(image) for image in images]
        return {
            name: torch.cat([gram_matrix(features[name], loss.norm) for features in each])
            for name, loss in self.style.items()
        }

    def forward(
        self, image: torch.Tensor, content: dict[str, torch.Tensor], style: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Name -> weighted term; their sum is the objective.

        Args:
            image: the picture to judge, (N, 3, H, W) in [-1, 1].
            content: from `content_targets`.
            style: layer -> Gram matrices (N or 1, C, C), one for each image or one for all.
        """
        features = self.extractor(image)
        each = [loss(features[name], content[name]) for name, loss in self.content.items()]
        terms = {"content": sum(each)}
        for name, loss in self.style.items():
            terms[f"style_{name}"] = loss(features[name], style[name])
        if self.tv:
            terms["tv"] = self.tv(image)
        return terms
