"""The technique ``inference/paged-attention``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

PAGED_ATTENTION = Technique(
    id="inference/paged-attention",
    title={"en": "PagedAttention: a cache in blocks", "zh": "PagedAttention：分块的缓存"},
    summary={
        "en": "Keys and values lie in blocks of a few tokens, taken one at a time from a common pool. Each sequence "
        "has a table of its blocks; forks share them, counted by references, until one side writes.",
        "zh": "键和值放在只装几个词元的块里，需要时从公共的池中逐块领取。每个序列有一张自己的块表；"
        "分叉的序列共享这些块，用引用计数管理，直到有一方写入。",
    },
    headline={
        "en": "Waste is under 4% of the memory, the empty places of each last block, instead of 60% to 80%. Sharing "
        "saves up to 55% more under beam search.",
        "zh": "浪费不到内存的 4%，即每个序列最后一块里的空位，而不是 60% 到 80%。束搜索时，共享最多还能再省 55%。",
    },
    package=__name__,
    implements="PagedKVCache",
    interface="groundup.core.interfaces.kv_cache:KVCacheManager",
    requires=("inference/kv-cache",),
    holes=(
        Hole(
            hints=(
                {
                    "en": "Position p lies in the block of entry p // B of the table. Which entries do the new tokens "
                    "touch, and which of these does the table have already?",
                    "zh": "位置 p 落在块表的第 p // B 项。新词元落在哪几项上？其中哪些是块表已经有的？",
                },
                {
                    "en": "A set of position // self.block_size over range(start, stop), sorted. Entries below "
                    "len(block_table) are shared if the ref_count of their block is above 1; the others are missing. "
                    "Compare the sum of both with the free blocks.",
                    "zh": "对 range(start, stop) 求 position // self.block_size 的集合并排序。小于 len(block_table) "
                    "的项，若块的 ref_count 大于 1，就是 shared；其余的是 missing。把两者的个数之和与空闲块数比较。",
                },
                {
                    "en": "shared = [i for i in touched if i < len(block_table) and self.ref_count[block_table[i]] > "
                    "1]; missing = [i for i in touched if i >= len(block_table)]; raise CacheFullError(...) if "
                    "len(shared) + len(missing) > len(self.free_block_ids)",
                    "zh": "shared = [i for i in touched if i < len(block_table) and self.ref_count[block_table[i]] > "
                    "1]；missing = [i for i in touched if i >= len(block_table)]；若 len(shared) + len(missing) > "
                    "len(self.free_block_ids)，就 raise CacheFullError(...)",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Two tables list the block, and only this one is to change. What must be copied, where does "
                    "the copy go, and what are the two reference counts afterwards?",
                    "zh": "两张表都列着这个块，只有这一张要变。要复制什么？副本放到哪里？"
                    "之后两个块的引用计数各是多少？",
                },
                {
                    "en": "For each shared entry: allocate a block, copy the row of every tensor in self.keys and "
                    "self.values, enter the new block in the table, lower the old one's ref_count by one. Then append "
                    "an allocated block for each missing entry.",
                    "zh": "对每个 shared 项：分配一个块，复制 self.keys 和 self.values 中每个张量的那一行，"
                    "把新块写进表里，旧块的 ref_count 减一。然后为每个 missing 项在表尾加一个分配来的块。",
                },
                {
                    "en": "original, copy = block_table[i], self._allocate_block(); memory[copy] = memory[original] "
                    "for each memory in (*self.keys, *self.values); block_table[i] = copy; self.ref_count[original] "
                    "-= 1; after the loop block_table.extend(self._allocate_block() for _ in missing)",
                    "zh": "original, copy = block_table[i], self._allocate_block()；对 (*self.keys, *self.values) "
                    "中的每个 memory，memory[copy] = memory[original]；block_table[i] = copy；"
                    "self.ref_count[original] -= 1；循环之后 block_table.extend(self._allocate_block() for _ in "
                    "missing)",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Where does token p go: which row of the layer's tensor, and which offset in that row? The "
                    "table knows one of the two.",
                    "zh": "词元 p 写到哪里：这一层张量的哪一行？那一行里的哪个位置？其中一个要查块表。",
                },
                {
                    "en": "Row block_table[p // B], offset p % B, for p from start to stop - 1. A loop over p will "
                    "do: write key[:, p - start] there. Set the length at the end.",
                    "zh": "p 从 start 到 stop - 1，行是 block_table[p // B]，偏移是 p % B。用循环就行：把 key[:, p - "
                    "start] 写到那里。最后更新长度。",
                },
                {
                    "en": "for p in range(start, stop): self.keys[layer][block_table[p // B], :, p % B] = key[:, p - "
                    "start].detach(), the same for the values, then self.seq_lens[sequence][layer] = stop. With index "
                    "tensors for both, the indexed axes come first, so the right side is key.transpose(0, 1).",
                    "zh": "for p in range(start, stop): self.keys[layer][block_table[p // B], :, p % B] = key[:, p - "
                    "start].detach()，值也一样，然后 self.seq_lens[sequence][layer] = stop。如果两处都用下标张量，"
                    "被索引的轴会排到最前，所以右边是 key.transpose(0, 1)。",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "self.keys[layer][block_table] is (blocks, G, B, D). Which two axes, brought together, "
                    "count the tokens of one head?",
                    "zh": "self.keys[layer][block_table] 的形状是（块, G, B, D）。哪两个轴合起来，"
                    "才是一个头的各个词元？",
                },
                {
                    "en": "Blocks and offsets must stand beside each other before they are merged: swap the first two "
                    "axes. The last block is seldom full, and this layer may lag behind the table.",
                    "zh": "合并之前，“块”和“块内偏移”两个轴必须相邻：先交换最前面的两个轴。最后一块很少是满的，"
                    "而且这一层可能落后于块表。",
                },
                {
                    "en": "key = self.keys[layer][block_table].transpose(0, 1).flatten(1, 2)[:, :seq_len], where "
                    "seq_len is self.seq_lens[sequence][layer]",
                    "zh": "key = self.keys[layer][block_table].transpose(0, 1).flatten(1, 2)[:, :seq_len]，其中 "
                    "seq_len 是 self.seq_lens[sequence][layer]",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Nothing is copied but two lists. Which counts must know of the new table?",
                    "zh": "除了两个列表，什么都不复制。还有哪些计数要知道多了一张表？",
                },
                {
                    "en": "The lists must be new ones, for parent and child grow apart. The ref_count of each block "
                    "in the table is one more, the last one's too, full or not.",
                    "zh": "两个列表都要新建，因为父子之后各自增长。表里每个块的 ref_count 都加一，最后一块也一样，"
                    "不管满不满。",
                },
                {
                    "en": "self.block_tables[child], self.seq_lens[child] = list(block_table), "
                    "list(self.seq_lens[parent]); for block_id in block_table: self.ref_count[block_id] += 1",
                    "zh": "self.block_tables[child], self.seq_lens[child] = list(block_table), "
                    "list(self.seq_lens[parent])；for block_id in block_table: self.ref_count[block_id] += 1",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "A block may be in other tables too. When is it really nobody's?",
                    "zh": "一个块可能还在别的表里。什么时候它才真的没人用了？",
                },
                {
                    "en": "Lower the ref_count of each block by one; where that leaves 0, the block joins the free "
                    "ones. Its numbers can stay.",
                    "zh": "每个块的 ref_count 减一；减到零的块加入空闲块。块里的数不必清除。",
                },
                {
                    "en": "for block_id in block_table: self.ref_count[block_id] -= 1; if self.ref_count[block_id] == "
                    "0: self.free_block_ids.append(block_id)",
                    "zh": "for block_id in block_table: self.ref_count[block_id] -= 1；若 self.ref_count[block_id] == "
                    "0，就 self.free_block_ids.append(block_id)",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Which of the three sums can be had from the number of free blocks, and which one needs the "
                    "tokens? How is a shared block kept from being counted twice?",
                    "zh": "三个和里，哪个只需知道空闲块数，哪个要看词元？怎样避免把共享的块算两次？",
                },
                {
                    "en": "For used, note for each block and layer how many tokens it holds, in a dict: a shared block "
                    "is then entered twice with the same number. Entry j of a table holds length - j * B tokens of a "
                    "layer, at least 0 and at most B.",
                    "zh": "求 used 时，用字典记下每个块在每一层装了多少词元：共享的块会写入两次，但数目相同。"
                    "表的第 j 项在某一层装有 length - j * B 个词元，最少 0，最多 B。",
                },
                {
                    "en": "filled[block_id, layer] = min(max(seq_len - i * B, 0), B); used = the sum of "
                    "token_bytes[layer] * count; reserved = (self.num_blocks - len(self.free_block_ids)) * B * "
                    "sum(token_bytes); total the same with self.num_blocks",
                    "zh": "filled[block_id, layer] = min(max(seq_len - i * B, 0), B)；used 是 token_bytes[layer] * "
                    "count 之和；reserved = (self.num_blocks - len(self.free_block_ids)) * B * sum(token_bytes)；"
                    "total 换成 self.num_blocks",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Kwon et al. 2023, Efficient Memory Management for Large Language Model Serving with PagedAttention",
            url="https://arxiv.org/abs/2309.06180",
            where="figures 2, 3, 6, 8, 9, 11, 13, 15; sections 3.1, 4.1 to 4.4, 5.2, 6.3, 7.1, 7.2; footnote 1",
        ),
        Source(
            title="vLLM: Easy, Fast, and Cheap LLM Serving with PagedAttention",
            url="https://blog.vllm.ai/2023/06/20/vllm.html",
            where="waste of 60% to 80%, of under 4% with PagedAttention; up to 55% saved by sharing",
        ),
        Source(
            title="vLLM, vllm/v1/core/block_pool.py",
            url="https://github.com/vllm-project/vllm/blob/main/vllm/v1/core/block_pool.py",
            where="BlockPool: free_block_queue, null_block, touch, free_blocks",
        ),
        Source(
            title="vLLM, vllm/v1/worker/block_table.py",
            url="https://github.com/vllm-project/vllm/blob/main/vllm/v1/worker/block_table.py",
            where="BlockTable.compute_slot_mapping",
        ),
        Source(
            title="vLLM's first engine (V0), since removed: vllm/core/block/common.py, vllm/core/block_manager.py",
            url="https://github.com/vllm-project/vllm/pull/25321",
            where="CopyOnWriteTracker.cow_block_if_not_appendable; SelfAttnBlockSpaceManager.can_append_slots",
        ),
        Source(
            title="SGLang, python/sglang/srt/mem_cache/allocator/paged.py",
            url="https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/mem_cache/allocator/paged.py",
            where="PagedTokenToKVPoolAllocator: alloc_extend, alloc_decode, free, clear",
        ),
        Source(
            title="Hugging Face transformers, src/transformers/generation/continuous_batching/cache_manager.py",
            url="https://github.com/huggingface/transformers/tree/main/src/transformers/generation/continuous_batching",
            where="BlockManager.fork_blocks; FullAttentionCacheAllocator.get_read_indices, get_write_indices",
        ),
        Source(
            title="flash-attention, flash_attn/flash_attn_interface.py",
            url="https://github.com/Dao-AILab/flash-attention/blob/main/flash_attn/flash_attn_interface.py",
            where="flash_attn_with_kvcache, on block_table",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``inference/paged-attention``."""
    return [PAGED_ATTENTION]
