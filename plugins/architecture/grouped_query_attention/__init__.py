"""The technique ``architecture/grouped-query-attention``: its name, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

GROUPED_QUERY_ATTENTION = Technique(
    id="architecture/grouped-query-attention",
    title={"en": "Grouped-query attention", "zh": "分组查询注意力（GQA）"},
    summary={
        "en": "Several query heads share one key/value head: multi-head, multi-query and what lies between in one "
        "function, with causal and padding masks. And how the heads of a trained model are pooled into fewer.",
        "zh": "几个查询头共用一个键值头：多头、多查询以及二者之间的一切都是同一个函数，支持因果掩码和填充掩码。"
        "还有：怎样把训练好的模型的头合并成更少的头。",
    },
    headline={
        "en": "The KV cache is smaller by H / G. Llama 3 70B, 64 query heads over 8 key/value heads, keeps 320 KiB a "
        "token instead of 2.5 MiB.",
        "zh": "KV 缓存缩小到 G / H。Llama 3 70B 的 64 个查询头共用 8 个键值头，每个词元只存 320 KiB，而不是 2.5 MiB。",
    },
    package=__name__,
    implements="GroupedQueryAttention",
    interface="groundup.core.interfaces.attention:Attention",
    requires=("architecture/attention",),
    holes=(
        Hole(
            hints=(
                {
                    "en": "With 6 query heads and 2 key/value heads, which query heads read key/value head 0? The "
                    "class's docstring says it.",
                    "zh": "6 个查询头、2 个键值头时，哪些查询头读键值头 0？类的文档字符串里写着。",
                },
                {
                    "en": "The heads of one group lie one behind the other in query, each with Q rows of D numbers. "
                    "Which shape has the H/G * Q rows of a group on one axis? Check H % G before.",
                    "zh": "同一组的头在 query 里一个接一个，每个有 Q 行，每行 D 个数。"
                    "什么形状能把一组的 H/G * Q 行放在同一个轴上？先检查 H % G。",
                },
                {
                    "en": "if num_heads % num_kv_heads: raise ValueError(...); "
                    "grouped = query.reshape(batch, num_kv_heads, n_rep * q_len, head_dim)",
                    "zh": "if num_heads % num_kv_heads: raise ValueError(...)；"
                    "grouped = query.reshape(batch, num_kv_heads, n_rep * q_len, head_dim)",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "A decoder has 5 keys in its cache, and asks with one query. Which of the 5 may it see? And "
                    "which with two queries?",
                    "zh": "解码器的缓存里有 5 个键，用一个查询来问。它能看到 5 个里的哪几个？如果是两个查询呢？",
                },
                {
                    "en": "Begin with all True, (Q, K). Causal keeps a lower triangle whose corner is at the bottom "
                    "right: shift the diagonal by K - Q. Then `and` attn_mask, with axes inserted for G, H/G and Q.",
                    "zh": "从全 True 的 (Q, K) 开始。因果掩码保留一个对齐右下角的下三角：对角线平移 K - Q。"
                    "再与 attn_mask 做“与”，为 G、H/G 和 Q 插入轴。",
                },
                {
                    "en": "mask = torch.ones(q_len, kv_len, dtype=torch.bool); if causal: mask = mask.tril(kv_len - "
                    "q_len); if attn_mask is not None: mask = mask & attn_mask[:, None, None, None, :]",
                    "zh": "mask = torch.ones(q_len, kv_len, dtype=torch.bool)；if causal: mask = mask.tril(kv_len - "
                    "q_len)；if attn_mask is not None: mask = mask & attn_mask[:, None, None, None, :]",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "The rows of a group all meet the same key. Which one product gives all their scores? And "
                    "which axes must the scores have, so that what is seen can be looked up by query and key?",
                    "zh": "一组的所有行面对的是同一个键头。用哪一个乘积就能得到全部得分？"
                    "要按查询和键去查能否看到，得分又该有哪些轴？",
                },
                {
                    "en": "Scores: grouped @ key.mT over sqrt(D), reshaped to (B, G, H/G, Q, K). What is not seen gets "
                    "a very low score before the softmax. With -inf a row that sees nothing is NaN; with the lowest "
                    "finite number it is uniform, and can be set to 0 after the softmax.",
                    "zh": "得分：grouped @ key.mT 除以 sqrt(D)，再变形为 (B, G, H/G, Q, K)。"
                    "softmax 之前，看不到的位置填极低的得分。填 -inf 的话，什么都看不到的一行会变成 NaN；"
                    "填最低的有限数则得到均匀分布，softmax 之后再置 0。",
                },
                {
                    "en": "scores = (grouped @ key.mT * head_dim**-0.5).reshape(batch, num_kv_heads, n_rep, q_len, "
                    "kv_len); scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min); attn_weights = "
                    "torch.softmax(scores, -1).masked_fill(~mask, 0.0); "
                    "attn_output = attn_weights.flatten(2, 3) @ value",
                    "zh": "scores = (grouped @ key.mT * head_dim**-0.5).reshape(batch, num_kv_heads, n_rep, q_len, "
                    "kv_len)；scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)；attn_weights = "
                    "torch.softmax(scores, -1).masked_fill(~mask, 0.0)；"
                    "attn_output = attn_weights.flatten(2, 3) @ value",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Which rows of the weight are head h? And which heads will become head g?",
                    "zh": "权重的哪些行是头 h？哪些头会变成头 g？",
                },
                {
                    "en": "Give the rows three axes: group, head within the group, row within the head. One of the "
                    "three is averaged away. Check both divisions first.",
                    "zh": "把行拆成三个轴：组、组内的头、头内的行。其中一个轴取平均消掉。先检查两处能否整除。",
                },
                {
                    "en": "pooled = weight.reshape(num_kv_heads, num_heads // num_kv_heads, rows // num_heads, "
                    "*weight.shape[1:]).mean(dim=1).flatten(0, 1)",
                    "zh": "pooled = weight.reshape(num_kv_heads, num_heads // num_kv_heads, rows // num_heads, "
                    "*weight.shape[1:]).mean(dim=1).flatten(0, 1)",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Ainslie et al. 2023, GQA: Training Generalized Multi-Query Transformer Models from Multi-Head "
            "Checkpoints",
            url="https://arxiv.org/abs/2305.13245",
            where="section 2.1 (mean pooling, uptraining), 2.2 (groups), 3.3 and figure 4 (ablations), table 1",
        ),
        Source(
            title="Shazeer 2019, Fast Transformer Decoding: One Write-Head is All You Need",
            url="https://arxiv.org/abs/1911.02150",
            where="section 3, multi-query attention",
        ),
        Source(
            title="Vaswani et al. 2017, Attention Is All You Need",
            url="https://arxiv.org/abs/1706.03762",
            where="eq. 1, and why the scores are scaled",
        ),
        Source(
            title="Grattafiori et al. 2024, The Llama 3 Herd of Models",
            url="https://arxiv.org/abs/2407.21783",
            where="section 3.2 and table 3: layers, attention heads, 8 key/value heads",
        ),
        Source(
            title="torch.nn.functional.scaled_dot_product_attention",
            url="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html",
            where="enable_gqa, is_causal (top-left), attn_mask (True takes part); run at 2.13",
        ),
        Source(
            title="flash-attention, flash_attn/flash_attn_interface.py",
            url="https://github.com/Dao-AILab/flash-attention/blob/main/flash_attn/flash_attn_interface.py",
            where="flash_attn_func: order of heads, bottom-right causal mask, rows of zeros",
        ),
        Source(
            title="Hugging Face transformers, src/transformers/models/llama/modeling_llama.py",
            url="https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py",
            where="repeat_kv; eager_attention_forward: softmax in float32, masked with the lowest number",
        ),
        Source(
            title="Megatron-LM, megatron/core/transformer/dot_product_attention.py",
            url="https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/transformer/dot_product_attention.py",
            where="DotProductAttention.forward: repeat_interleave of keys and values",
        ),
        Source(
            title="vLLM, csrc/attention/attention_kernels.cuh",
            url="https://github.com/vllm-project/vllm/blob/main/csrc/attention/attention_kernels.cuh",
            where="paged_attention_kernel: kv_head_idx = head_idx / num_queries_per_kv",
        ),
        Source(
            title="SGLang, python/sglang/srt/layers/attention/triton_ops/decode_attention.py",
            url="https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/layers/attention/triton_ops/"
            "decode_attention.py",
            where="_fwd_kernel_stage1, _fwd_grouped_kernel_stage1",
        ),
        Source(
            title="x-transformers, x_transformers/attend.py",
            url="https://github.com/lucidrains/x-transformers/blob/main/x_transformers/attend.py",
            where="Attend.forward: key/value heads are tiled, so that query head h reads head h % G",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``architecture/grouped-query-attention``."""
    return [GROUPED_QUERY_ATTENTION]
