"""The technique ``architecture/nope``: its manifest, its hints and sources; and a section of the brief."""

from typing import Any

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

TECHNIQUE = Technique(
    id="architecture/nope",
    title={"en": "Attention without positions (NoPE)"},
    summary={
        "en": "Nothing is added for a token's position, and a decoder still knows it: who may see how many others says "
        "where they stand.",
    },
    headline={
        "en": "One causal head that attends to everything alike finds every token's position: the first token's share "
        "of the weight at position t is 1 / (t + 1).",
    },
    package=__name__,
    implements="NoPE",
    interface="groundup.core.interfaces.attention:Attention",
    requires=("architecture/grouped-query-attention",),
    holes=(
        Hole(
            hints=(
                {"en": "Which keys stand behind the last one that query i may see?"},
                {"en": "mask = mask.tril(kv_len - q_len); mask = mask & attn_mask[:, None, None, :]"},
            )
        ),
        Hole(
            hints=(
                {"en": "Is there anything in a score that depends on a position?"},
                {"en": "Hide what is not seen before the softmax, and after it: a row that sees nothing is 0."},
            )
        ),
        Hole(
            hints=(
                {"en": "If all scores are 0, which weight does each of the t + 1 tokens seen from position t get?"},
                {"en": "Let the value be 1 at the first token and 0 elsewhere: what comes out is that weight."},
                {"en": "share = self.forward(nothing, nothing, first, causal=True)[:, 0, :, 0]; 1 / share, rounded"},
            )
        ),
    ),
    sources=(
        Source(
            title="Kazemnejad et al. 2023, The Impact of Positional Encoding on Length Generalization in Transformers",
            url="https://arxiv.org/abs/2305.19466",
            where="abstract; Theorem 1 (absolute encoding: the first layer can recover every token's position)",
        ),
        Source(
            title="Haviv et al. 2022, Transformer Language Models without Positional Encodings Still Learn Positional "
            "Information",
            url="https://arxiv.org/abs/2203.16634",
            where="abstract: causal attention lets a model infer how many tokens a token can attend to",
        ),
        Source(
            title="Hugging Face transformers, src/transformers/models/smollm3/configuration_smollm3.py",
            url="https://github.com/huggingface/transformers/blob/main/src/transformers/models/smollm3/configuration_smollm3.py",
            where="no_rope_layer_interval (4): every fourth layer has no rotary embedding",
        ),
        Source(
            title="Vaswani et al. 2017, Attention Is All You Need",
            url="https://arxiv.org/abs/1706.03762",
            where="eq. 1; section 3.5 (why positions are added)",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``architecture/nope``."""
    return [TECHNIQUE]


@hookimpl
def brief_sections(verdicts: list[dict[str, Any]], lang: str) -> dict[str, str]:
    """Say what a passed attempt has shown; nothing before that."""
    passed = [v for v in verdicts if v["technique"] == TECHNIQUE.id and v["passed"]]
    if not passed:
        return {}
    held = sum(p["status"] == "held" for p in passed[0]["properties"])
    return {
        "Order without positions": f"The learner's attention adds nothing for positions. With the causal mask it finds "
        f"every token's position all the same, and without it no order shows: {held} properties held at seed "
        f"{passed[0]['seed']} (Kazemnejad et al. 2023, arXiv:2305.19466, Theorem 1)."
    }
