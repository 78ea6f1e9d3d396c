"""Qwen2 in plain torch: small, and shaped so that torch.compile makes a few large kernels of it.

Knows the architecture, and the names that Qwen2 checkpoints give its weights. Refuses to know
what it is trained on and where its weights are kept. Several sequences may stand in one row:
attention is causal and nothing more, and a model learns to begin anew at the first token.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

HEAD = 64
"""The size of a head, in all of ponder's models."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a network."""

    vocabulary: int = 4096
    hidden: int = 512
    layers: int = 8
    heads: int = 8
    kv_heads: int = 2
    ffn: int = 1280
    context: int = 2048
    theta: float = 10000.0
    """The base of the rotary embedding."""
    epsilon: float = 1e-6


Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer: sequences x kv heads x positions x head."""


class RMSNorm(nn.Module):
    """Root mean square norm, reckoned in float32."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.hidden))
        self.epsilon = shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Norm the last dimension."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return self.weight.to(x.dtype) * wide.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        wide, narrow = shape.heads * HEAD, shape.kv_heads * HEAD
        self.q_proj = nn.Linear(shape.hidden, wide)
        self.k_proj = nn.Linear(shape.hidden, narrow)
        self.v_proj = nn.Linear(shape.hidden, narrow)
        self.o_proj = nn.Linear(wide, shape.hidden, bias=False)
        self._split = (wide, narrow, narrow)

    def qkv(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values: sequences x heads x positions x head."""
        rows, positions, _ = x.shape
        parts = (self.q_proj, self.k_proj, self.v_proj)
        # One product instead of three, two of which are too narrow for the hardware.
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
        q, k, v = (
            part.view(rows, positions, -1, HEAD).transpose(1, 2)
            for part in F.linear(x, weight, bias).split(self._split, -1)
        )
        return _rotated(q, cos, sin), _rotated(k, cos, sin), v

    def out(self, y: Tensor) -> Tensor:
        """Join the heads of `y`: sequences x heads x positions x head."""
        joined: Tensor = self.o_proj(y.transpose(1, 2).flatten(2))
        return joined

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Attend within each row."""
        return self.out(causal(*self.qkv(x, cos, sin)))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.ffn, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.ffn, bias=False)
        self.down_proj = nn.Linear(shape.ffn, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map each position by itself."""
        weight = torch.cat((self.gate_proj.weight, self.up_proj.weight))
        gate, up = F.linear(x, weight).chunk(2, -1)
        y: Tensor = self.down_proj(F.silu(gate) * up)
        return y


class Block(nn.Module):
    """One layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape)
        self.mlp = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rows x positions x hidden, in and out."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        y: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return y


class Backbone(nn.Module):
    """Everything but the head, under the names of Qwen2's checkpoints."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList([Block(shape) for _ in range(shape.layers)])
        self.norm = RMSNorm(shape)


class LanguageModel(nn.Module):
    """A network whose head is its embedding."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Backbone(shape)
        half = torch.arange(0, HEAD, 2).float() / HEAD
        angles = torch.outer(torch.arange(shape.context).float(), shape.theta**-half).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self._initialise()

    def blocks(self) -> list[Block]:
        """Return the layers, first to last."""
        return [layer for layer in self.model.layers if isinstance(layer, Block)]

    def hidden(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows x positions x hidden of rows x positions ids, reckoned in `dtype`."""
        x = F.embedding(ids, self.model.embed_tokens.weight).to(dtype)
        cos, sin = (table[: ids.shape[1]].to(dtype) for table in (self.cos, self.sin))
        for block in self.model.layers:
            x = block(x, cos, sin)
        normed: Tensor = self.model.norm(x)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Return what the head makes of hidden states."""
        return F.linear(hidden, self.model.embed_tokens.weight.to(hidden.dtype))

    def prefill(self, ids: Tensor, room: int) -> tuple[Tensor, Cache]:
        """Read rows x positions ids; return hidden states, and a cache for `room` positions."""
        dtype = self.model.embed_tokens.weight.dtype
        rows, positions = ids.shape
        x = F.embedding(ids, self.model.embed_tokens.weight)
        cos, sin = (table[:positions].to(dtype) for table in (self.cos, self.sin))
        cache: Cache = []
        for block in self.blocks():
            q, k, v = block.self_attn.qkv(block.input_layernorm(x), cos, sin)
            size = (rows, self.shape.kv_heads, room, HEAD)
            keys, values = x.new_zeros(size), x.new_zeros(size)
            keys[:, :, :positions], values[:, :, :positions] = k, v
            cache.append((keys, values))
            x = x + block.self_attn.out(causal(q, k, v))
            x = x + block.mlp(block.post_attention_layernorm(x))
        return self.model.norm(x), cache

    def step(self, ids: Tensor, at: Tensor, cache: Cache, seen: int) -> Tensor:
        """Read one more token of each row; return its hidden state, rows x hidden.

        `at` is the position of the token in each row, all below `seen`: what lies behind in the
        cache is not looked at.
        """
        dtype = self.model.embed_tokens.weight.dtype
        rows = torch.arange(len(ids), device=ids.device)
        x = F.embedding(ids, self.model.embed_tokens.weight)[:, None]
        cos, sin = (table[at][:, None, None].to(dtype) for table in (self.cos, self.sin))
        visible = (torch.arange(seen, device=ids.device) <= at[:, None])[:, None, None]
        for block, (keys, values) in zip(self.blocks(), cache, strict=True):
            q, k, v = block.self_attn.qkv(block.input_layernorm(x), cos, sin)
            keys[rows, :, at], values[rows, :, at] = k[:, :, 0], v[:, :, 0]
            # One query a row: the heads of a group are the queries of one key-value head.
            grouped = q.view(len(ids), self.shape.kv_heads, -1, HEAD)
            y = F.scaled_dot_product_attention(
                grouped, keys[:, :, :seen], values[:, :, :seen], attn_mask=visible
            )
            x = x + block.self_attn.out(y.reshape(len(ids), -1, 1, HEAD))
            x = x + block.mlp(block.post_attention_layernorm(x))
        normed: Tensor = self.model.norm(x[:, 0])
        return normed

    def _initialise(self) -> None:
        """Residual branches start at nothing; the others at 0.6 of what keeps the variance."""
        for name, weight in self.named_parameters():
            if weight.dim() < 2:
                if name.endswith("bias"):
                    nn.init.zeros_(weight)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.zeros_(weight)
            else:
                std = 0.02 if "embed" in name else 0.6 * weight.shape[1] ** -0.5
                nn.init.normal_(weight, std=std)


def loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy over targets that are not -100.

    The logits stay in the type of `hidden`; their sums are reckoned in float32. Compiled, the
    conversion is part of the reduction and never stands in memory.
    """
    logits = F.linear(hidden, head.to(hidden.dtype)).flatten(0, 1)
    return F.cross_entropy(logits.float(), targets.flatten(), ignore_index=-100)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend to what came before; each key-value head serves a group of query heads."""
    grouped = (len(k), k.shape[1], q.shape[1] // k.shape[1], *k.shape[2:])
    # Written out: every fast kernel takes equal heads, and not each of them groups.
    k, v = (part[:, :, None].expand(grouped).reshape(q.shape) for part in (k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
