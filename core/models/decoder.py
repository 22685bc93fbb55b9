"""A tiny decoder-only language model with the parts of Llama, to be trained, sampled from and split over ranks.

Parameters are called as in Hugging Face's Llama, without the prefix ``model.``; a linear layer is x weight^T without a
bias. Axes: B sequences, T positions, d hidden features, V words of the vocabulary, H query heads and G key/value heads
of D features each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from groundup.core.models.specification import Attend, Batch, Params
from groundup.core.plain import plain

__all__ = ["Decoder", "causal_attention", "rms_norm", "rotate"]

INITIAL_STD = 0.05
IGNORED = -100  # IGNORE_INDEX of interfaces.rl_batches and of torch's cross_entropy


@plain
@dataclass(frozen=True, eq=False)
class Decoder:
    """Embedding, blocks of attention and gated MLP with RMSNorm before each (pre-norm), RMSNorm, untied head.

    It is a ``SequenceModel``: layer 0 is the embedding, then one layer a block, then the last RMSNorm with the head. A
    batch holds the tokens ``x`` (B, T) and the targets ``y`` (B, T), which are already shifted: ``y[:, t]`` is what
    should follow ``x[:, t]``, and -100 where nothing is asked. It may also hold

    - ``position``, (T,) or (B, T): each token's index in its own sequence, by default 0 to T - 1;
    - ``attn_mask``, (B, T, T), bool: True where token i attends to token j, by default wherever j is not after i.

    Positions are rotary in the half-split layout of Hugging Face's Llama: feature i turns together with i + D / 2.
    ``num_heads`` divides ``hidden_size``, ``num_kv_heads`` divides ``num_heads``, and D is even.

    ``attention`` and ``mlp`` take the numbers of heads and of inner features from the weights' shapes. So with a part
    of the rows of q, k, v, gate and up and the same part of the columns of o and down, each returns its term of a sum.
    """

    vocab_size: int
    hidden_size: int = 64
    num_layers: int = 2
    num_heads: int = 4
    num_kv_heads: int = 2
    intermediate_size: int = 176
    rope_theta: float = 100.0
    norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        """D, the features of one head."""
        return self.hidden_size // self.num_heads

    def init(self, seed: int, dtype: torch.dtype = torch.float32) -> Params:
        """Return parameters drawn with ``seed``: norms 1, all others normal with the standard deviation 0.05.

        Layers that write to the residual stream have 0.05 / (2 * num_layers)^(1/2), as in GPT-2.
        """
        generator = torch.Generator().manual_seed(seed)
        queries, kv = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        inner, depth = self.intermediate_size, (2 * self.num_layers) ** -0.5

        def normal(rows: int, columns: int, scale: float = 1.0) -> Tensor:
            return torch.randn(rows, columns, generator=generator, dtype=dtype) * (INITIAL_STD * scale)

        params: Params = {"embed_tokens.weight": normal(self.vocab_size, self.hidden_size)}
        for i in range(self.num_layers):
            params |= {
                f"layers.{i}.input_layernorm.weight": torch.ones(self.hidden_size, dtype=dtype),
                f"layers.{i}.self_attn.q_proj.weight": normal(queries, self.hidden_size),
                f"layers.{i}.self_attn.k_proj.weight": normal(kv, self.hidden_size),
                f"layers.{i}.self_attn.v_proj.weight": normal(kv, self.hidden_size),
                f"layers.{i}.self_attn.o_proj.weight": normal(self.hidden_size, queries, depth),
                f"layers.{i}.post_attention_layernorm.weight": torch.ones(self.hidden_size, dtype=dtype),
                f"layers.{i}.mlp.gate_proj.weight": normal(inner, self.hidden_size),
                f"layers.{i}.mlp.up_proj.weight": normal(inner, self.hidden_size),
                f"layers.{i}.mlp.down_proj.weight": normal(self.hidden_size, inner, depth),
            }
        params["norm.weight"] = torch.ones(self.hidden_size, dtype=dtype)
        params["lm_head.weight"] = normal(self.vocab_size, self.hidden_size)
        return params

    def layers(self) -> list[list[str]]:
        """Return the names of each layer's parameters: the embedding, each block, then the last norm and the head."""
        parts = (
            "input_layernorm",
            *(f"self_attn.{name}_proj" for name in "qkvo"),
            "post_attention_layernorm",
            *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
        )
        blocks = [[f"layers.{i}.{part}.weight" for part in parts] for i in range(self.num_layers)]
        return [["embed_tokens.weight"], *blocks, ["norm.weight", "lm_head.weight"]]

    def forward(self, params: Params, batch: Batch) -> Float[Tensor, "B T V"]:
        """Return the logits of what follows each token. Differentiable in ``params``."""
        return F.linear(self.trunk(params, batch), params["lm_head.weight"])

    def trunk(self, params: Params, batch: Batch) -> Float[Tensor, "B T d"]:
        """Return the hidden states that the head reads, after the last norm: also for a critic or a reward model."""
        hidden = batch["x"]
        assert isinstance(hidden, Tensor)
        for layer in range(self.num_layers + 1):
            hidden = self.forward_layer(layer, params, hidden, batch)
        return rms_norm(hidden, params["norm.weight"], self.norm_eps)

    def forward_layer(
        self, layer: int, params: Params, hidden: Tensor, batch: Batch, attend: Attend | None = None
    ) -> Tensor:
        """Return the layer's output; ``attend`` replaces causal attention within the batch. It takes rotated keys."""
        if layer == 0:
            return F.embedding(hidden, params["embed_tokens.weight"])
        if layer == self.num_layers + 1:
            return F.linear(rms_norm(hidden, params["norm.weight"], self.norm_eps), params["lm_head.weight"])
        hidden = hidden + self.attention(layer, params, hidden, batch, attend)
        return hidden + self.mlp(layer, params, hidden)

    def attention(
        self,
        layer: int,
        params: Params,
        hidden: Float[Tensor, "B T d"],
        batch: Batch,
        attend: Attend | None = None,
    ) -> Float[Tensor, "B T d"]:
        """Return what the attention of block ``layer``, from 1 to num_layers, adds to ``hidden``."""
        at = f"layers.{layer - 1}"
        normed = rms_norm(hidden, params[f"{at}.input_layernorm.weight"], self.norm_eps)

        def heads(name: str) -> Float[Tensor, "B heads T D"]:
            projected = F.linear(normed, params[f"{at}.self_attn.{name}_proj.weight"])
            return projected.reshape(*hidden.shape[:2], -1, self.head_dim).transpose(1, 2)

        position = batch.get("position")
        assert position is None or isinstance(position, Tensor)
        if position is None:
            position = torch.arange(hidden.shape[1], device=hidden.device)
        q, k = (rotate(heads(name), position, self.rope_theta) for name in "qk")
        mixed = attend(q, k, heads("v")) if attend else causal_attention(q, k, heads("v"), batch.get("attn_mask"))
        return F.linear(mixed.transpose(1, 2).flatten(2), params[f"{at}.self_attn.o_proj.weight"])

    def mlp(self, layer: int, params: Params, hidden: Float[Tensor, "B T d"]) -> Float[Tensor, "B T d"]:
        """Return what the gated MLP (SwiGLU) of block ``layer``, from 1 to num_layers, adds to ``hidden``."""
        at = f"layers.{layer - 1}"
        normed = rms_norm(hidden, params[f"{at}.post_attention_layernorm.weight"], self.norm_eps)
        gate, up = (F.linear(normed, params[f"{at}.mlp.{name}_proj.weight"]) for name in ("gate", "up"))
        return F.linear(F.silu(gate) * up, params[f"{at}.mlp.down_proj.weight"])

    def loss(self, output: Float[Tensor, "B T V"], batch: Batch) -> Float[Tensor, ""]:
        """Return the mean of -log p(y) over all targets of the batch; 0 where there are none."""
        target = batch["y"]
        assert isinstance(target, Tensor)
        logits = output.to(torch.promote_types(output.dtype, torch.float32)).flatten(0, -2)
        total = F.cross_entropy(logits, target.flatten(), ignore_index=IGNORED, reduction="sum")
        return total / (target != IGNORED).sum().clamp(min=1)


def rms_norm(hidden: Float[Tensor, "*rows d"], weight: Float[Tensor, "d"], eps: float) -> Float[Tensor, "*rows d"]:
    """Return hidden / sqrt(mean(hidden^2) + eps) * weight. The mean is taken in float32 or wider."""
    wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return normed.to(hidden.dtype) * weight


def rotate(x: Float[Tensor, "B H T D"], position: Int[Tensor, "*B T"], theta: float) -> Float[Tensor, "B H T D"]:
    """Rotate each pair of features (i, i + D / 2) by position * theta^(-2 i / D), as Hugging Face's Llama does."""
    wide = torch.promote_types(x.dtype, torch.float32)
    half = x.shape[-1] // 2
    frequency = theta ** (torch.arange(half, dtype=wide, device=x.device) / -half)
    angle = position.to(wide).unsqueeze(-1) * frequency  # (T, D / 2) or (B, T, D / 2)
    cos, sin = (turn.to(x.dtype).unsqueeze(-3) for turn in (angle.cos(), angle.sin()))  # one for all heads
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def causal_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B G S D"],
    v: Float[Tensor, "B G S D"],
    attn_mask: Tensor | int | None = None,
) -> Float[Tensor, "B H T D"]:
    """Return softmax(q k^T / sqrt(D)) v, each key/value head serving H / G query heads in a row.

    ``attn_mask`` (B, T, S) is True where a query attends to a key; without it query t attends to keys 0 to t. A query
    that attends to no key gets 0.
    """
    if attn_mask is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    assert isinstance(attn_mask, Tensor)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask.unsqueeze(1), enable_gqa=True)
