"""How weights are moved: Muon for matrices, AdamW for embeddings, norms and biases.

Knows gradients. Refuses to know the network and the schedule. Muon makes each step of a matrix
orthogonal by five Newton-Schulz iterations (Keller Jordan, https://kellerjordan.github.io/posts/muon/;
the coefficients are his); matrices of one size are moved together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonal(gradients: Tensor) -> Tensor:
    """Return nearly orthogonal matrices with the directions of `gradients`, in bfloat16."""
    a, b, c = _COEFFICIENTS
    x = gradients.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon:
    """Momentum, made orthogonal."""

    def __init__(self, weights: Iterable[nn.Parameter], decay: float = 0.05) -> None:
        """`decay` is the share of a weight that one step at a rate of 1 takes away."""
        self._decay = decay
        self._groups: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for weight in weights:
            self._groups[weight.shape].append(weight)
        self._momentum = {
            size: torch.zeros(len(group), *size, device=group[0].device)
            for size, group in self._groups.items()
        }

    @torch.no_grad()
    def step(self, rate: float, momentum: float) -> None:
        """Move all weights along their gradients."""
        for size, group in self._groups.items():
            gradients = torch.stack([w.grad for w in group if w.grad is not None]).float()
            held = self._momentum[size]
            held.lerp_(gradients, 1 - momentum)
            nesterov = gradients.lerp(held, momentum)
            scale = max(1, size[0] / size[1]) ** 0.5
            moves = list(orthogonal(nesterov).float().unbind())
            weights: list[Tensor] = list(group)
            torch._foreach_mul_(weights, 1 - rate * self._decay)
            torch._foreach_add_(weights, moves, alpha=-rate * scale)


class Optimizer:
    """Both, with one schedule."""

    def __init__(self, model: nn.Module, muon_rate: float, adam_rate: float) -> None:
        """Take each weight of `model`; the rates are those at the height of the schedule."""
        named = list(model.named_parameters())
        matrices = [w for name, w in named if w.dim() == 2 and "embed" not in name]
        others = [w for name, w in named if w.dim() != 2 or "embed" in name]
        self._weights = [weight for _, weight in named]
        self._muon = Muon(matrices)
        self._muon_rate, self._adam_rate = muon_rate, adam_rate
        fused = others[0].is_cuda
        self._adam = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)

    def step(self, scale: float, momentum: float) -> None:
        """Move all weights at `scale` of their rates, and forget the gradients."""
        self._muon.step(self._muon_rate * scale, momentum)
        for group in self._adam.param_groups:
            group["lr"] = self._adam_rate * scale
        self._adam.step()
        for weight in self._weights:
            weight.grad = None
