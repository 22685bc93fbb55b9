"""Networks for strategies and learning rules to train: a multi-layer perceptron, and a tiny language model.

The language model comes with a tokenizer, with tasks whose answers a program can check, and with trained bases::

    task = Addition()
    start = base(task, accuracy=0.45)  # trained on first use, then read from the user's cache folder
    generator = torch.Generator().manual_seed(0)
    answers = sample(start.model, start.params, start.tokenizer, task.draw(8, generator), max_tokens=task.longest + 1,
                     generator=generator)
    log_prob = log_probs(start.model, start.params, answers)  # (B, T), as answers.mask; carries gradient
    good = right(start.tokenizer, task, answers)  # (B,), bool

Nothing is downloaded, and everything is drawn from seeds.
"""

from groundup.core.models.answers import Answers, joined, log_probs, sample, written
from groundup.core.models.decoder import Decoder, causal_attention, rms_norm, rotate
from groundup.core.models.multi_task_mlp import Linears, MultiTaskMLP
from groundup.core.models.preferences import Pairs, Thumbs, pairs, thumbs
from groundup.core.models.specification import Attend, Batch, LayeredModel, Model, Params, SequenceModel
from groundup.core.models.tasks import Addition, Brackets, Reversing, Sorting, Task
from groundup.core.models.tokenizer import ALPHABET, SPECIAL, Tokenizer
from groundup.core.models.trained import Base, accuracy_of, base, right

__all__ = [
    "ALPHABET",
    "SPECIAL",
    "Addition",
    "Answers",
    "Attend",
    "Base",
    "Batch",
    "Brackets",
    "Decoder",
    "LayeredModel",
    "Linears",
    "Model",
    "MultiTaskMLP",
    "Pairs",
    "Params",
    "Reversing",
    "SequenceModel",
    "Sorting",
    "Task",
    "Thumbs",
    "Tokenizer",
    "accuracy_of",
    "base",
    "causal_attention",
    "joined",
    "log_probs",
    "pairs",
    "right",
    "rms_norm",
    "rotate",
    "sample",
    "thumbs",
    "written",
]
