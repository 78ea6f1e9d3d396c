"""The base in torch, every linear layer with something low-rank to learn beside it.

Knows llama.cpp's graph of a llama model, and computes what it computes. Refuses to know text,
files and how learning goes. Weights of the base never change: a layer's weight is the base's
plus `scale` times the product of its two adapter matrices, added up before it is used. For rows
by the tens of thousands that is cheaper than two thin products more for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from builtin_model.smol.adapter import Adapter, Pair
from builtin_model.smol.base import Base, Shape

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer: sequences x kv heads x positions x head."""
Mask: TypeAlias = BlockMask | Tensor | None
"""Who attends to whom: blocks for flex_attention; booleans, rows x 1 x queries x keys; or
nothing, where everything sees all that came before it."""


class Projection(nn.Module):
    """A linear layer of the base, without bias, and its two adapter matrices."""

    base: Tensor

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        """`weight` is outputs x inputs, `scale` what the adapter's product is multiplied by."""
        super().__init__()
        outputs, inputs = weight.shape
        self.scale = scale
        self.register_buffer("base", weight)
        # As in arXiv:2106.09685: the product is nothing at first.
        self.a: nn.Parameter | None = nn.Parameter(torch.randn(rank, inputs) * inputs**-0.5)
        self.b: nn.Parameter | None = nn.Parameter(torch.zeros(outputs, rank))

    def weight(self) -> Tensor:
        """Return the base's weight with what was learned added."""
        if self.a is None or self.b is None:
            return self.base
        return self.base + self.scale * (self.b @ self.a)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, in the precision of what comes in."""
        return F.linear(x, self.weight().to(x.dtype))


class Norm(nn.Module):
    """Root mean square norm, reckoned in float32."""

    weight: Tensor

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """Norm the last dimension."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return (wide * self.weight).to(x.dtype)


class Block(nn.Module):
    """One layer: attention, then the gated network; its parts have llama.cpp's names."""

    def __init__(self, base: Base, number: int, rank: int, scale: float) -> None:
        super().__init__()
        self._head = base.shape.head

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(base.weight(f"blk.{number}.{name}.weight"))

        for name in base.shape.projections:
            self.add_module(name, Projection(tensor(name), rank, scale))
        self.attn_norm = Norm(tensor("attn_norm"), base.shape.epsilon)
        self.ffn_norm = Norm(tensor("ffn_norm"), base.shape.epsilon)

    def qkv(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values: sequences x heads x positions x head."""
        rows, positions, _ = x.shape
        normed = self.attn_norm(x)
        q, k, v = (
            part(normed).view(rows, positions, -1, self._head).transpose(1, 2)
            for part in (self.attn_q, self.attn_k, self.attn_v)
        )
        return _turned(q, cos, sin), _turned(k, cos, sin), v

    def rest(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what the layer makes of its input and of `y`, which its heads attended to."""
        x = x + self.attn_output(y.transpose(1, 2).flatten(2))
        normed = self.ffn_norm(x)
        out: Tensor = x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed))
        return out

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        """Rows x positions x hidden, in and out."""
        return self.rest(x, _attended(*self.qkv(x, cos, sin), mask))


class Llama(nn.Module):
    """A base and what it learns; its head is its embedding."""

    embedding: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, base: Base, rank: int, alpha: float, context: int) -> None:
        """`alpha` / `rank` is the adapter's scale, `context` the most positions of a row."""
        super().__init__()
        self.shape: Shape = base.shape.shortened(context)
        self.rank, self.alpha = rank, alpha
        self.layers = nn.ModuleList(
            [Block(base, number, rank, alpha / rank) for number in range(base.shape.layers)]
        )
        self.norm = Norm(torch.from_numpy(base.weight("output_norm.weight")), base.shape.epsilon)
        self.register_buffer("embedding", torch.from_numpy(base.weight("token_embd.weight")))
        half = torch.arange(0, self.shape.head, 2).double() / self.shape.head
        angles = torch.arange(context).double()[:, None] * self.shape.rope_theta**-half
        # Both of a pair side by side; the first of them goes the other way.
        cos, sin = angles.cos().float(), angles.sin().float()
        self.register_buffer("cos", torch.stack((cos, cos), -1).flatten(1), persistent=False)
        self.register_buffer("sin", torch.stack((-sin, sin), -1).flatten(1), persistent=False)

    def blocks(self) -> list[Block]:
        """Return the layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Block)]

    def projections(self) -> Iterator[tuple[str, Projection]]:
        """Yield each layer that learns, under llama.cpp's name for its weight."""
        for number, block in enumerate(self.blocks()):
            for name in self.shape.projections:
                yield f"blk.{number}.{name}.weight", getattr(block, name)

    def adapter(self) -> Adapter:
        """Return what was learned."""
        return Adapter(
            self.alpha,
            {
                name: Pair(
                    *(
                        matrix.detach().float().cpu().numpy()
                        for matrix in (part.a, part.b)
                        if matrix is not None
                    )
                )
                for name, part in self.projections()
            },
        )

    @torch.no_grad()
    def settle(self, adapter: Adapter, dtype: torch.dtype) -> None:
        """Make an adapter part of the weights, and put all of them into one precision.

        The model learns no more after this.

        Raises:
            KeyError: the adapter belongs to other layers.

        """
        for name, part in self.projections():
            pair = adapter.pairs[name]
            a, b = (torch.from_numpy(m).to(part.base.device) for m in (pair.a, pair.b))
            part.base = (part.base + adapter.alpha / len(a) * (b @ a)).to(dtype)
            part.a = part.b = None
        self.embedding = self.embedding.to(dtype)

    def hidden(self, ids: Tensor, mask: Mask, dtype: torch.dtype) -> Tensor:
        """Return rows x positions x hidden of rows x positions ids, reckoned in `dtype`."""
        x = F.embedding(ids, self.embedding).to(dtype)
        cos, sin = (table[: ids.shape[1]].to(dtype) for table in (self.cos, self.sin))
        for block in self.layers:
            x = block(x, cos, sin, mask)
        normed: Tensor = self.norm(x)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Return what the head makes of hidden states."""
        return F.linear(hidden, self.embedding.to(hidden.dtype))

    def prefill(self, ids: Tensor, room: int) -> tuple[Tensor, Cache]:
        """Read rows x positions ids; return hidden states, and a cache for `room` positions."""
        rows, positions = ids.shape
        x = F.embedding(ids, self.embedding)
        cos, sin = (table[:positions].to(x.dtype) for table in (self.cos, self.sin))
        cache: Cache = []
        for block in self.blocks():
            q, k, v = block.qkv(x, cos, sin)
            size = (rows, self.shape.kv_heads, room, self.shape.head)
            keys, values = x.new_zeros(size), x.new_zeros(size)
            keys[:, :, :positions], values[:, :, :positions] = k, v
            cache.append((keys, values))
            x = block.rest(x, _attended(q, k, v, None))
        return self.norm(x), cache

    def step(self, ids: Tensor, at: Tensor, cache: Cache, seen: int) -> Tensor:
        """Read one more token of each row; return its hidden state, rows x hidden.

        `at` is the position of the token in each row, all below `seen`: what lies behind in the
        cache is not looked at.
        """
        rows = torch.arange(len(ids), device=ids.device)
        x = F.embedding(ids, self.embedding)[:, None]
        cos, sin = (table[at][:, None, None].to(x.dtype) for table in (self.cos, self.sin))
        visible = (torch.arange(seen, device=ids.device) <= at[:, None])[:, None, None]
        for block, (keys, values) in zip(self.blocks(), cache, strict=True):
            q, k, v = block.qkv(x, cos, sin)
            keys[rows, :, at], values[rows, :, at] = k[:, :, 0], v[:, :, 0]
            # One query a row: the heads of a group are the queries of one key-value head.
            grouped = q.view(len(ids), self.shape.kv_heads, -1, self.shape.head)
            y = F.scaled_dot_product_attention(
                grouped, keys[:, :, :seen], values[:, :, :seen], attn_mask=visible
            )
            x = block.rest(x, y.reshape(len(ids), -1, 1, self.shape.head))
        normed: Tensor = self.norm(x[:, 0])
        return normed


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions as llama.cpp's llama has them: neighbours are a pair."""
    return x * cos + x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2) * sin


def _attended(q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
    """Attend; each key-value head serves a group of query heads."""
    if isinstance(mask, BlockMask):
        sparse: Tensor = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
        return sparse
    group = q.shape[1] // k.shape[1]
    # Written out: every fast kernel takes equal heads, and not each of them groups.
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
