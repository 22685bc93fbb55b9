"""Answers of a language model to prompts: sampled with a KV cache, scored token by token.

Axes: B answers, P tokens of the prompts, T tokens of the answers. Prompts are padded on the left and answers on the
right, so an answer begins where its prompt ends. The mask of the answers includes the token that ends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.core.models.decoder import IGNORED, Decoder, causal_attention
from groundup.core.models.specification import Batch, Params
from groundup.core.models.tokenizer import Tokenizer

__all__ = ["Answers", "joined", "log_probs", "sample", "written"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Prompts, each with one answer."""

    prompt: Int[Tensor, "B P"]
    prompt_mask: Bool[Tensor, "B P"]
    answer: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    """True at the answer's tokens, up to the one that ends it."""
    log_prob: Float[Tensor, "B T"] | None = None
    """log p of each token where it was sampled, 0 on padding; None for answers that were not sampled."""

    def batch(self) -> Batch:
        """Return prompts and answers as a batch of the model: ``x`` (B, P + T), ``position`` and ``attn_mask``.

        Its output at column P - 1 + t predicts the answer's token t. The last column has read the whole answer.
        """
        x = torch.cat([self.prompt, self.answer], dim=1)
        real = torch.cat([self.prompt_mask, self.mask], dim=1)
        if bool(self.prompt_mask.all()):  # padding on the right is after all that is asked for
            return {"x": x}
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        return {"x": x, "position": (real.cumsum(1) - 1).clamp(min=0), "attn_mask": causal & real.unsqueeze(1)}

    def labels(self) -> Int[Tensor, "B P+T"]:
        """Return the tokens of prompts and answers, not shifted; -100 in prompts and padding."""
        return torch.cat([torch.full_like(self.prompt, IGNORED), self.answer.masked_fill(~self.mask, IGNORED)], dim=1)

    def rows(self, index: Tensor) -> Answers:
        """Return the answers of these rows: numbers, or a mask."""
        log_prob = None if self.log_prob is None else self.log_prob[index]
        return Answers(self.prompt[index], self.prompt_mask[index], self.answer[index], self.mask[index], log_prob)

    def mismatched(self) -> Answers:
        """Return each prompt with the answer to the one before it: what KTO estimates its reference point from."""
        return Answers(self.prompt, self.prompt_mask, self.answer.roll(1, 0), self.mask.roll(1, 0))

    def texts(self, tokenizer: Tokenizer) -> list[tuple[str, str | None]]:
        """Return prompts and answers as text. An answer without its end token, or with another special one, is None."""
        found = []
        for prompt, real, answer, mask in zip(self.prompt, self.prompt_mask, self.answer, self.mask, strict=True):
            *words, last = answer[mask].tolist() or [tokenizer.pad]
            ended = last == tokenizer.end and all(word >= len(tokenizer.special) for word in words)
            found.append((tokenizer.decode(prompt[real]), tokenizer.decode(words) if ended else None))
        return found


def written(tokenizer: Tokenizer, prompts: Sequence[str], answers: Sequence[str]) -> Answers:
    """Return prompts with given answers, each of which gets the end token."""
    prompt = tokenizer.pad_rows([tokenizer.encode(text) for text in prompts], side="left")
    return Answers(*prompt, *tokenizer.pad_rows([[*tokenizer.encode(text), tokenizer.end] for text in answers]))


def joined(parts: Sequence[Answers], pad: int) -> Answers:
    """Return several sets of answers as one, their rows in order, filled up to the same widths with ``pad``."""
    columns = [max(getattr(part, name).shape[1] for part in parts) for name in ("prompt", "answer")]

    def all_of(name: str, side: str, fill: float) -> Tensor:
        width = columns[0] if side == "left" else columns[1]
        tensors = [getattr(part, name) for part in parts]
        missing = [width - tensor.shape[1] for tensor in tensors]
        sides = [(n, 0) if side == "left" else (0, n) for n in missing]
        return torch.cat([F.pad(tensor, pair, value=fill) for tensor, pair in zip(tensors, sides, strict=True)])

    sampled = all(part.log_prob is not None for part in parts)
    return Answers(
        all_of("prompt", "left", pad),
        all_of("prompt_mask", "left", False),
        all_of("answer", "right", pad),
        all_of("mask", "right", False),
        all_of("log_prob", "right", 0.0) if sampled else None,
    )


def log_probs(model: Decoder, params: Params, answers: Answers) -> Float[Tensor, "B T"]:
    """Return log p of each token of the answers; carries gradient. On padding the numbers are finite and mean nothing.

    They are computed in float32 or wider.
    """
    logits = model.forward(params, answers.batch())[:, answers.prompt.shape[1] - 1 : -1]
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide.log_softmax(-1).gather(2, answers.answer.unsqueeze(2)).squeeze(2)


@torch.no_grad()
def sample(
    model: Decoder,
    params: Params,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    max_tokens: int,
    generator: torch.Generator | None = None,
    temperature: float = 1.0,
) -> Answers:
    """Return an answer to each prompt, of ``max_tokens`` tokens or fewer, ended by the end token.

    With ``temperature`` 0 it is the greedy answer, else the logits are divided by the temperature; ``log_prob`` is of
    that distribution (and of temperature 1 for greedy answers). An answer that has not ended is cut off. No prompt is
    empty, and ``max_tokens`` is 1 or more.
    """
    prompt, prompt_mask = tokenizer.pad_rows([tokenizer.encode(text) for text in prompts], side="left")
    batch, columns = prompt.shape
    caches = [_Cache(prompt_mask, columns + max_tokens) for _ in range(model.num_layers)]
    x, position = prompt, (prompt_mask.cumsum(1) - 1).clamp(min=0)
    live = torch.ones(batch, dtype=torch.bool)
    tokens, mask, chosen = [], [], []
    for _ in range(max_tokens):
        logits = _last_logits(model, params, {"x": x, "position": position}, caches)
        log_p = (logits / temperature if temperature else logits).log_softmax(-1)
        token = torch.multinomial(log_p.exp(), 1, generator=generator)[:, 0] if temperature else log_p.argmax(-1)
        token = torch.where(live, token, tokenizer.pad)
        tokens.append(token)
        mask.append(live)
        chosen.append(log_p.gather(1, token.unsqueeze(1))[:, 0].masked_fill(~live, 0.0))
        live = live & (token != tokenizer.end)
        if not bool(live.any()):
            break
        x, position = token.unsqueeze(1), position[:, -1:] + 1
    return Answers(prompt, prompt_mask, *(torch.stack(each, dim=1) for each in (tokens, mask, chosen)))


def _last_logits(model: Decoder, params: Params, batch: Batch, caches: list[_Cache]) -> Float[Tensor, "B V"]:
    """Return what follows the last column of ``x``, in float32 or wider; the columns before it are in the caches."""
    hidden = batch["x"]
    assert isinstance(hidden, Tensor)
    for layer, names in enumerate(model.layers()):
        own = {name: params[name] for name in names}
        attend = caches[layer - 1].attend if 1 <= layer <= model.num_layers else None
        hidden = model.forward_layer(layer, own, hidden if layer <= model.num_layers else hidden[:, -1], batch, attend)
    return hidden.to(torch.promote_types(hidden.dtype, torch.float32))


class _Cache:
    """Keys and values of one layer, for prompts and what has been sampled so far."""

    def __init__(self, prompt_mask: Bool[Tensor, "B P"], columns: int) -> None:
        self.columns, self.length, self.kept = columns, 0, [torch.empty(0)] * 2
        real = F.pad(prompt_mask, (0, columns - prompt_mask.shape[1]), value=True)
        self.padded = not bool(prompt_mask.all())
        self.mask = torch.ones(columns, columns, dtype=torch.bool).tril() & real.unsqueeze(1)  # (B, columns, columns)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Keep keys and values; attend to all that are kept."""
        before, self.length = self.length, self.length + k.shape[2]
        if not before:
            self.kept = [new.new_empty(*new.shape[:2], self.columns, new.shape[3]) for new in (k, v)]
        for kept, new in zip(self.kept, (k, v), strict=True):
            kept[:, :, before : self.length] = new
        keys, values = (kept[:, :, : self.length] for kept in self.kept)
        if not before and not self.padded:
            return causal_attention(q, keys, values)
        return causal_attention(q, keys, values, self.mask[:, before : self.length, : self.length])
