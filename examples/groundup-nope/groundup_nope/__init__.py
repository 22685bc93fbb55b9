"""The technique ``architecture/nope``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

TECHNIQUE = Technique(
    id="architecture/nope",
    title={"en": "Multi-head attention"},
    summary={
        "en": "Every query weighs the values by how well their keys match it: a softmax of scaled products, head by head.",
    },
    headline={
        "en": "One matrix product finds for every token, in one step, what fits it anywhere in the text; it costs a score for each pair of tokens.",
    },
    package=__name__,
    implements="Nope",
    interface="groundup.core.interfaces.attention:Attention",
    holes=(
        Hole(
            hints=(
                {"en": "Which keys stand behind the last one that query i may see?"},
                {"en": "seen = seen.tril(keys - queries); seen = seen & mask[:, None, None, :]"},
            )
        ),
        Hole(
            hints=(
                {"en": "Hide what is not seen before the softmax, and once more after it."},
                {"en": "torch.softmax(score.masked_fill(~seen, torch.finfo(score.dtype).min), -1).masked_fill(~seen, 0.0)"},
            )
        ),
    ),
    sources=(
        Source(
            title="Vaswani et al. 2017, Attention Is All You Need",
            url="https://arxiv.org/abs/1706.03762",
            where="section 3.2.1, eq. 1",
        ),
        Source(
            title="PyTorch, torch/nn/functional.py",
            url="https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py",
            where="scaled_dot_product_attention: a boolean mask is True where a key takes part",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``architecture/nope``."""
    return [TECHNIQUE]
