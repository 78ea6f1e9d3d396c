"""What a run moves here: an adapter over its base. The run itself is that of any other model.

Knows gradients. Refuses to know where rows come from and how long it goes on. Nothing of the
base is ever moved, its embeddings, the widest matrix by far, included: so the loss is worked
out a piece at a time, and the logits of a batch never stand in memory together.
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
from builtin_model.training import Plan, Run, Say

_AT_ONCE = 8192
"""Positions whose logits are worked out together: 0.8 GB of them in bfloat16."""
_LONGEST = 1.0
"""Of the gradient of all matrices together; a longer one is shortened to it."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How an adapter learns."""

    rank: int = 32
    alpha: float = 64.0
    """What is learned is multiplied by alpha / rank."""
    attention: Literal["sparse", "dense"] = "sparse"
    """How sequences in a row are kept apart: in blocks, by flex_attention, or by a mask, for
    which every processor has kernels."""


class AdapterOptimizer:
    """AdamW over the matrices of an adapter."""

    def __init__(self, weights: Sequence[nn.Parameter], rate: float) -> None:
        self._weights = list(weights)
        self._rate = rate
        self._adam = torch.optim.AdamW(
            self._weights, betas=(0.9, 0.95), weight_decay=0.0, fused=self._weights[0].is_cuda
        )

    def step(self, scale: float, _momentum: float) -> None:
        """Move all weights at `scale` of their rate, and forget the gradients."""
        nn.utils.clip_grad_norm_(self._weights, _LONGEST)
        for group in self._adam.param_groups:
            group["lr"] = self._rate * scale
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)


class Tuner(Run):
    """An adapter, its base, its optimizer and the compiled parts."""

    model: Llama

    def __init__(
        self, base: Base, tuning: Tuning, first: Sequence[int], plan: Plan, say: Say
    ) -> None:
        """`first` are tokens that every sequence begins with and that stand nowhere else."""
        super().__init__(plan, say)
        self.model = Llama(base, tuning.rank, tuning.alpha, plan.long).to(self.device)
        self._first = torch.tensor(first, device=self.device)
        self._mask = packed.sparse if tuning.attention == "sparse" else packed.dense
        self._loss = summed_loss
        if plan.compile:
            for block in self.model.blocks():
                block.compile(dynamic=False)
            self._loss = torch.compile(summed_loss, dynamic=False)
        self._optimizer = AdapterOptimizer(list(self.model.parameters()), plan.adam_rate)

    def _gradients(self, tokens: Tensor) -> Tensor:
        """Add the gradients of one batch of marked tokens; return its mean loss."""
        ids, targets = packed.split(tokens)
        mask = self._mask(packed.sequences(ids, self._first))
        hidden = self.model.hidden(ids, mask, self._dtype)
        # The head takes no gradient: what reaches the hidden states is added up piece by piece.
        leaf = hidden.detach().flatten(0, 1).requires_grad_()
        learned = (targets != packed.UNLEARNED).sum().clamp(min=1)
        total = torch.zeros((), device=self.device)
        pieces = leaf.split(_AT_ONCE), targets.flatten().split(_AT_ONCE)
        for some, wanted in zip(*pieces, strict=True):
            loss = self._loss(some, self.model.embedding, wanted) / learned
            loss.backward()
            total += loss.detach()
        hidden.backward(leaf.grad.view_as(hidden))
        return total


def summed_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy over targets that are learned, summed up in float32."""
    logits = F.linear(hidden, head.to(hidden.dtype))
    return F.cross_entropy(logits.float(), targets, ignore_index=packed.UNLEARNED, reduction="sum")
