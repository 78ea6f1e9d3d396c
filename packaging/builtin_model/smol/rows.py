"""Packed rows as a network sees them: what each position is to predict, and what it may look at.

Knows where sequences begin in a row. Refuses to know the network. A position sees what came
before it in its own sequence and nothing of its neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

UNLEARNED = -100
"""What stands in place of a target that is not learned; `cross_entropy` passes over it."""


def split(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return ids and targets of rows of marked tokens, each of one token less than a row."""
    ids = (rows & 0x7FFFFFFF).long()
    targets = torch.where(rows < 0, ids, UNLEARNED)
    return ids[:, :-1], targets[:, 1:]


def sequences(ids: Tensor, first: Tensor) -> Tensor:
    """Number the sequences of each row: rows x positions, 0 before the first of them.

    `first` is what each of them begins with, and what stands nowhere else.
    """
    begins = (ids.unfold(1, len(first), 1) == first).all(-1)
    rest = begins.new_zeros(len(ids), len(first) - 1)
    return torch.cat((begins, rest), 1).cumsum(1)


def sparse(numbers: Tensor) -> BlockMask:
    """Return blocks for flex_attention that keep sequences apart."""
    rows, positions = numbers.shape

    def sees(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:  # noqa: ARG001
        return (query >= key) & (numbers[row, query] == numbers[row, key])

    return create_block_mask(sees, rows, None, positions, positions, device=numbers.device.type)


def dense(numbers: Tensor) -> Tensor:
    """Return the same as booleans, rows x 1 x queries x keys, for any kind of processor."""
    return (numbers[:, :, None] == numbers[:, None, :]).tril()[:, None]
