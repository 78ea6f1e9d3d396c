"""What learns in a run: the adapter over its base, its optimizer and the compiled parts.

Knows gradients. Refuses to know where rows come from and how long it goes on. Nothing of the
base is ever moved, so that its embeddings, the widest matrix by far, take no gradient: the loss
is worked out a few rows at a time, and the logits of a batch never stand in memory together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from builtin_model.smol import rows as packed
from builtin_model.smol.base import Base
from builtin_model.smol.llama import Llama

_CLIP = 1.0
"""The longest gradient of all matrices together."""
_LOGITS = 1 << 29
"""The most logits that are worked out at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an adapter learns."""

    rank: int = 32
    alpha: float = 64.0
    """What is learned is multiplied by alpha / rank."""
    rate: float = 1e-3
    """AdamW's, at its height."""
    attention: Literal["sparse", "dense"] = "sparse"
    """How sequences in a row are kept apart: in blocks, by flex_attention, or by a mask, which
    every processor has kernels for, at a third of the speed or so."""


class Learner:
    """An adapter that learns.

    Args:
        base: what is taught.
        settings: how.
        first: the tokens that every sequence begins with, and that stand nowhere else.
        context: the most positions of a row.
        compiled: whether layers and loss are compiled.
    """

    def __init__(
        self,
        base: Base,
        settings: Settings,
        first: Sequence[int],
        context: int,
        compiled: bool,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.model = Llama(base, settings.rank, settings.alpha, context).to(self.device)
        self._first = torch.tensor(first, device=self.device)
        self._mask = packed.sparse if settings.attention == "sparse" else packed.dense
        self._loss = summed_loss
        if compiled:
            for block in self.model.blocks():
                block.compile(dynamic=False)
            self._loss = torch.compile(summed_loss, dynamic=False)
        self._rate = settings.rate
        self._weights: list[nn.Parameter] = list(self.model.parameters())
        self._adam = torch.optim.AdamW(
            self._weights, betas=(0.9, 0.95), weight_decay=0.0, fused=self.device.type == "cuda"
        )

    def parameters(self) -> int:
        """Count what is learned."""
        return sum(weight.numel() for weight in self._weights)

    def gradients(self, tokens: Tensor) -> Tensor:
        """Add the gradients of one batch of rows of marked tokens; return its mean loss."""
        ids, targets = packed.split(tokens)
        mask = self._mask(packed.sequences(ids, self._first))
        hidden = self.model.hidden(ids, mask, self.dtype)
        # The head gets no gradient: what reaches the hidden states is summed up piece by piece.
        leaf = hidden.detach().requires_grad_()
        learned = (targets != packed.UNLEARNED).sum().clamp(min=1)
        total = torch.zeros((), device=self.device)
        at_once = max(1, _LOGITS // (ids.shape[1] * self.model.shape.vocabulary))
        for some, wanted in zip(leaf.split(at_once), targets.split(at_once), strict=True):
            loss = self._loss(some, self.model.embedding, wanted) / learned
            loss.backward()
            total += loss.detach()
        hidden.backward(leaf.grad)
        return total

    def step(self, scale: float) -> None:
        """Move all weights at `scale` of their rate, and forget the gradients."""
        nn.utils.clip_grad_norm_(self._weights, _CLIP)
        for group in self._adam.param_groups:
            group["lr"] = self._rate * scale
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)


def summed_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy over targets that are learned, summed up in float32."""
    logits = F.linear(hidden, head.to(hidden.dtype)).flatten(0, 1)
    return F.cross_entropy(
        logits.float(), targets.flatten(), ignore_index=packed.UNLEARNED, reduction="sum"
    )
