"""Trained language models to begin with. Each is trained once, and then kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from groundup.core.models import kept
from groundup.core.models.answers import Answers, sample, written
from groundup.core.models.decoder import IGNORED, Decoder
from groundup.core.models.specification import Params
from groundup.core.models.tasks import Task
from groundup.core.models.tokenizer import Tokenizer

__all__ = ["Base", "accuracy_of", "base", "right"]

BATCH, TRIED, EVERY = 128, 512, 10
LEARNING_RATE, WARM_UP = 3e-3, 20
LONGEST = 3000  # steps


@dataclass(frozen=True, eq=False)
class Base:
    """A trained model."""

    model: Decoder
    params: Params
    tokenizer: Tokenizer
    accuracy: float
    """The share of right answers among 512 that were sampled at temperature 1."""
    steps: int
    """The number of steps of AdamW that it took."""


def base(task: Task, *, accuracy: float = 0.95, seed: int = 0, model: Decoder | None = None) -> Base:
    """Return a model that learnt ``task`` until its *sampled* answers were right as often as ``accuracy`` says.

    The same arguments give the same parameters on one machine; the ``repr`` of ``task`` tells all its settings, as that
    of a dataclass does. They are new tensors each time, to be trained further with ``requires_grad_``. Raises
    RuntimeError if 3,000 steps are not enough.

    What was trained is kept, in memory and in the user's cache folder, under the digest of the arguments, of the code
    that trains and of torch's version. A file that cannot be read is made anew; without a folder to write to, each
    process trains its own.
    """
    words = Tokenizer()
    model = model or Decoder(vocab_size=words.vocab_size)
    key = _digest(model, words, task, accuracy, seed)
    if (found := kept.read(key)) is None:
        with _one_thread():
            found = _trained(model, words, task, accuracy, seed)
        kept.write(key, *found)
    params, facts = found
    return Base(model, params, words, facts["accuracy"], int(facts["steps"]))


def _digest(model: Decoder, words: Tokenizer, task: Task, accuracy: float, seed: int) -> str:
    """Return the digest of settings, of torch's version and of the modules that take part in training."""
    found = hashlib.sha256(repr((model, words, task, accuracy, seed, torch.__version__)).encode())
    for part in (Decoder, Tokenizer, Task, type(task), Answers, Base):
        found.update(Path(inspect.getfile(part)).read_bytes())
    return found.hexdigest()[:24]


def _trained(model: Decoder, words: Tokenizer, task: Task, accuracy: float, seed: int) -> kept.Kept:
    """Train with AdamW on fresh examples: -log p of the answers' tokens, averaged over these."""
    generator = torch.Generator().manual_seed(seed)
    params = {name: value.requires_grad_() for name, value in model.init(seed).items()}
    optimizer = torch.optim.AdamW(params.values(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(1, LONGEST + 1):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, step / WARM_UP)
        prompts = task.draw(BATCH, generator)
        examples = written(words, prompts, [task.answer(prompt) for prompt in prompts])
        batch, labels = examples.batch(), examples.labels()
        end = torch.full_like(labels[:, :1], IGNORED)
        loss = model.loss(model.forward(params, batch), {**batch, "y": torch.cat([labels[:, 1:], end], dim=1)})
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        optimizer.step()
        if step % EVERY == 0:
            reached = accuracy_of(model, params, words, task, generator=generator)
            if reached >= accuracy:
                found = {name: value.detach() for name, value in params.items()}
                return found, {"accuracy": reached, "steps": float(step)}
    raise RuntimeError(f"{task} was not learnt to {accuracy:.0%} in {LONGEST} steps, only to {reached:.0%}")


def right(words: Tokenizer, task: Task, answers: Answers) -> Tensor:
    """Return which answers are right, (B,), bool."""
    return torch.tensor([task.is_right(*pair) for pair in answers.texts(words)], dtype=torch.bool)


def accuracy_of(
    model: Decoder,
    params: Params,
    words: Tokenizer,
    task: Task,
    *,
    generator: torch.Generator,
    count: int = TRIED,
    temperature: float = 1.0,
) -> float:
    """Return the share of right answers to ``count`` new prompts; ``temperature`` 0 is for greedy answers."""
    prompts, longest = task.draw(count, generator), task.longest + 1
    given = sample(model, params, words, prompts, max_tokens=longest, generator=generator, temperature=temperature)
    return float(right(words, task, given).double().mean())


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
