"""The technique ``inference/kv-cache``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

KV_CACHE = Technique(
    id="inference/kv-cache",
    title={"en": "The key-value cache", "zh": "键值缓存（KV cache）"},
    summary={
        "en": "Keys and values of past tokens never change, so a decoder keeps them. Memory for the longest sequence "
        "is set aside, filled in place, read as far as it is filled, copied for a fork and given back.",
        "zh": "过去词元的键和值不会再变，所以解码器把它们留下来。按最长的序列预留内存，就地写入，只读已写的部分，"
        "分叉时复制，用完归还。",
    },
    headline={
        "en": "2048 tokens cost 2048 token passes instead of 2,098,176, linear instead of quadratic. The price is "
        "memory: in LLaMA-13B 0.8 MB a token, 1.7 GB for the 2048.",
        "zh": "生成 2048 个词元只需算 2048 个词元次，而不是 2,098,176 个：由平方变为线性。代价是内存："
        "LLaMA-13B 每个词元 0.8 MB，2048 个共 1.7 GB。",
    },
    package=__name__,
    implements="KVCache",
    interface="groundup.core.interfaces.kv_cache:KVCacheManager",
    requires=("architecture/attention", "architecture/grouped-query-attention"),
    holes=(
        Hole(
            hints=(
                {
                    "en": "What does an open sequence have that a closed one has not? The constructor made a place for "
                    "each of these things.",
                    "zh": "打开的序列有什么是关闭的序列没有的？构造函数已经为每样东西备好了位置。",
                },
                {
                    "en": "Two entries under the sequence's number: its slot, taken out of the free ones, and a list "
                    "with one 0 for each layer. The list must be a new one. Look first whether any is free.",
                    "zh": "以序列编号为键的两项：从空闲槽里取出的一个槽，和每层一个 0 的列表。"
                    "列表必须是新建的。先看有没有空闲的槽。",
                },
                {
                    "en": "if not self.free_slots: raise CacheFullError(...); self.slot[sequence] = "
                    "self.free_slots.pop(); self.seq_lens[sequence] = [0] * len(self.layers)",
                    "zh": "if not self.free_slots: raise CacheFullError(...)；self.slot[sequence] = "
                    "self.free_slots.pop()；self.seq_lens[sequence] = [0] * len(self.layers)",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Between which two places of the slot do the new tokens go? Whose length says so: the "
                    "sequence's, or this layer's?",
                    "zh": "新词元放在槽的哪两个位置之间？由谁的长度决定：整个序列的，还是这一层的？",
                },
                {
                    "en": "start is this layer's length, stop is start + T. Compare stop with max_seq_len before "
                    "anything is changed; stop may equal it. Tokens are axis 1 of key, and axis 2 of self.keys[layer].",
                    "zh": "start 是这一层的长度，stop 是 start + T。改动任何东西之前先比较 stop 和 max_seq_len，"
                    "二者可以相等。词元是 key 的轴 1，是 self.keys[layer] 的轴 2。",
                },
                {
                    "en": "self.keys[layer][slot, :, start:stop] = key.detach(), the same for the values, then "
                    "self.seq_lens[sequence][layer] = stop",
                    "zh": "self.keys[layer][slot, :, start:stop] = key.detach()，值也一样，然后 "
                    "self.seq_lens[sequence][layer] = stop",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "The slot has room for C tokens. How many of them were ever given to this layer?",
                    "zh": "槽里有 C 个词元的位置。其中有多少真正写入过这一层？",
                },
                {
                    "en": "Slice the token axis of the slot from 0 to this layer's length. A slice is a view.",
                    "zh": "在槽的词元轴上，从 0 切到这一层的长度。切片就是视图。",
                },
                {
                    "en": "key = self.keys[layer][slot, :, : self.seq_lens[sequence][layer]], and the same for value",
                    "zh": "key = self.keys[layer][slot, :, : self.seq_lens[sequence][layer]]，value 也一样",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "What would go wrong if parent and child had the same list of lengths?",
                    "zh": "如果父子共用同一个长度列表，会出什么错？",
                },
                {
                    "en": "For each layer, copy keys and values from row source to row target, as far as the parent "
                    "has filled that layer; forks also come in the midst of a forward pass. Then copy the list.",
                    "zh": "对每一层，把键和值从 source 行复制到 target 行，复制到父序列在该层已填的位置为止；"
                    "分叉也可能发生在前向的中途。最后复制那个列表。",
                },
                {
                    "en": "self.keys[layer][target, :, :seq_len] = self.keys[layer][source, :, :seq_len], the same "
                    "for the values, and self.seq_lens[child] = list(self.seq_lens[parent])",
                    "zh": "self.keys[layer][target, :, :seq_len] = self.keys[layer][source, :, :seq_len]，值也一样，"
                    "再 self.seq_lens[child] = list(self.seq_lens[parent])",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "What does one token cost in one layer? The lesson's formula, for that layer alone.",
                    "zh": "一个词元在一层里占多少字节？就是课文里的公式，只算这一层。",
                },
                {
                    "en": "A list with 2 * G * D * itemsize for each layer. used adds cost times length over "
                    "sequences and layers; a slot costs max_seq_len times the sum of the list.",
                    "zh": "先列出每层的 2 * G * D * itemsize。used 对所有序列和层累加“开销乘长度”；一个槽的开销是 "
                    "max_seq_len 乘以列表之和。",
                },
                {
                    "en": "token_bytes = [2 * num_kv_heads * head_dim * self.dtype.itemsize for num_kv_heads, "
                    "head_dim in self.layers]; reserved = len(self.slot) * self.max_seq_len * sum(token_bytes); total "
                    "the same with self.max_batch_size",
                    "zh": "token_bytes = [2 * num_kv_heads * head_dim * self.dtype.itemsize for num_kv_heads, "
                    "head_dim in self.layers]；reserved = len(self.slot) * self.max_seq_len * sum(token_bytes)；total "
                    "换成 self.max_batch_size",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Kwon et al. 2023, Efficient Memory Management for Large Language Model Serving with PagedAttention",
            url="https://arxiv.org/abs/2309.06180",
            where="section 2.2 (prompt, generation), 3 (bytes a token), 3.1 (contiguous chunks), 4.4 (sharing)",
        ),
        Source(
            title="vLLM: Easy, Fast, and Cheap LLM Serving with PagedAttention",
            url="https://blog.vllm.ai/2023/06/20/vllm.html",
            where="up to 1.7 GB for a single sequence in LLaMA-13B",
        ),
        Source(
            title="Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models",
            url="https://arxiv.org/abs/2302.13971",
            where="table 2: 40 layers, 40 heads, dimension 5120 for 13.0B",
        ),
        Source(
            title="Shazeer 2019, Fast Transformer Decoding: One Write-Head is All You Need",
            url="https://arxiv.org/abs/1911.02150",
            where="abstract: the memory bandwidth of loading keys and values; multi-query attention",
        ),
        Source(
            title="Ainslie et al. 2023, GQA: Training Generalized Multi-Query Transformer Models from Multi-Head "
            "Checkpoints",
            url="https://arxiv.org/abs/2305.13245",
            where="grouped-query attention",
        ),
        Source(
            title="Hugging Face transformers, src/transformers/cache_utils.py",
            url="https://github.com/huggingface/transformers/blob/main/src/transformers/cache_utils.py",
            where="DynamicLayer.update, StaticLayer.update, StaticSlidingWindowLayer.update; run at 5.23.0",
        ),
        Source(
            title="torchtune, torchtune/modules/kv_cache.py",
            url="https://github.com/pytorch/torchtune/blob/main/torchtune/modules/kv_cache.py",
            where="KVCache.update",
        ),
        Source(
            title="gpt-fast, model.py",
            url="https://github.com/pytorch-labs/gpt-fast/blob/main/model.py",
            where="KVCache.update",
        ),
        Source(
            title="vLLM, vllm/v1/kv_cache_interface.py and vllm/v1/core/kv_cache_manager.py",
            url="https://github.com/vllm-project/vllm/blob/main/vllm/v1/core/kv_cache_manager.py",
            where="AttentionSpec.real_page_size_bytes; KVCacheManager.allocate_slots, free",
        ),
        Source(
            title="SGLang, python/sglang/srt/mem_cache/memory_pool.py",
            url="https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/mem_cache/memory_pool.py",
            where="ReqToTokenPool; MHATokenToKVPool.set_kv_buffer",
        ),
        Source(
            title="llama.cpp, src/llama-kv-cache.cpp",
            url="https://github.com/ggml-org/llama.cpp/blob/master/src/llama-kv-cache.cpp",
            where="llama_kv_cache: find_slot, cpy_k, cpy_v, get_k, get_v, seq_cp, seq_rm",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``inference/kv-cache``."""
    return [KV_CACHE]
