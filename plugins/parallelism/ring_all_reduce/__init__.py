"""The technique ``parallelism/ring-all-reduce``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

RING_ALL_REDUCE = Technique(
    id="parallelism/ring-all-reduce",
    title={"en": "Ring all-reduce", "zh": "环形全归约（ring all-reduce）"},
    summary={
        "en": "N ranks in a ring sum their tensors: partial sums of N chunks travel around once, then the finished "
        "chunks do. Each rank speaks to its two neighbours alone, and all links are busy all the time.",
        "zh": "N 个 rank 排成一个环，求各自张量之和：N 个块的部分和先绕环一圈，算完的块再绕环一圈。"
        "每个 rank 只和两个邻居通信，所有链路始终都在工作。",
    },
    headline={
        "en": "Each rank sends 2 (N - 1) / N of the tensor, less than twice its bytes however many ranks there are. "
        "Sending everything to everyone costs N - 1 times them.",
        "zh": "每个 rank 发送张量的 2 (N - 1) / N 倍：无论有多少个 rank，都不到它字节数的两倍。"
        "而把全部数据发给所有人要 N - 1 倍。",
    },
    package=__name__,
    implements="RingAllReduce",
    interface="groundup.core.interfaces.collective:Collective",
    distributed=True,
    holes=(
        Hole(
            hints=(
                {
                    "en": "Follow one chunk: row r. It must end on rank r, and is passed on N - 1 times. On which "
                    "rank does its journey begin, and so which row does a rank begin with?",
                    "zh": "盯住一个块：第 r 行。它必须停在 rank r 上，一路传递 N - 1 次。它从哪个 rank 出发？"
                    "那么一个 rank 应该先发哪一行？",
                },
                {
                    "en": "Row r starts on rank r + 1, so a rank begins with row rank - 1. What it then receives is "
                    "one row further back in each step. Send what you hold, receive, add your own part of that row: "
                    "exchange does the first two without waiting for each other.",
                    "zh": "第 r 行从 rank r + 1 出发，所以每个 rank 先发第 rank - 1 行。此后每一步收到的再往前退一行。"
                    "发出手里的，收下邻居的，加上自己在那一行的部分：exchange 能同时完成收和发，不会互相等待。",
                },
                {
                    "en": "partial = chunks[(rank - 1) % size].clone(); for step in range(1, size): received = "
                    "self.comm.exchange(partial, to=self.next_rank, source=self.prev_rank), then partial = received + "
                    "chunks[(rank - 1 - step) % size]",
                    "zh": "partial = chunks[(rank - 1) % size].clone()；for step in range(1, size)：received = "
                    "self.comm.exchange(partial, to=self.next_rank, source=self.prev_rank)，再 partial = received + "
                    "chunks[(rank - 1 - step) % size]",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "In the first step you receive your neighbour's own chunk. What does that neighbour send in "
                    "the second step?",
                    "zh": "第一步收到的是邻居自己的块。第二步这个邻居发的是什么？",
                },
                {
                    "en": "After step s you hold the chunk of the rank s places back: (rank - s) % size. It goes into "
                    "that row, and on to the next rank. Your own chunk goes into its row without any message.",
                    "zh": "第 s 步之后，手里的是往回数第 s 个 rank 的块：(rank - s) % size。放进那一行，再传给下一个 "
                    "rank。自己的块直接放进自己的行，不用发消息。",
                },
                {
                    "en": "gathered = chunk.new_empty((size, *chunk.shape)); gathered[rank] = chunk; in each step "
                    "chunk = self.comm.exchange(chunk, to=self.next_rank, source=self.prev_rank) and "
                    "gathered[(rank - step) % size] = chunk",
                    "zh": "gathered = chunk.new_empty((size, *chunk.shape))；gathered[rank] = chunk；每一步 "
                    "chunk = self.comm.exchange(chunk, to=self.next_rank, source=self.prev_rank)，然后 "
                    "gathered[(rank - step) % size] = chunk",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Both methods want chunks of equal length. How long must a chunk be so that N of them hold "
                    "every element?",
                    "zh": "两个方法都要求等长的块。一个块要多长，N 个块才装得下所有元素？",
                },
                {
                    "en": "K = ceil(numel / N). Copy the flattened elements into N * K zeros of the same dtype, "
                    "reshape to (N, K), reduce_scatter, all_gather; then flatten, cut off the padding and restore "
                    "the shape.",
                    "zh": "K = ceil(numel / N)。把展平的元素复制进 N * K 个同 dtype 的零，变形为 (N, K)，"
                    "reduce_scatter，all_gather；然后展平，切掉补齐的部分，恢复形状。",
                },
                {
                    "en": "chunk_size = -(-tensor.numel() // size); padded = tensor.new_zeros(size * chunk_size); "
                    "padded[: tensor.numel()] = tensor.reshape(-1); result = gathered[: tensor.numel()]"
                    ".reshape(tensor.shape)",
                    "zh": "chunk_size = -(-tensor.numel() // size)；padded = tensor.new_zeros(size * chunk_size)；"
                    "padded[: tensor.numel()] = tensor.reshape(-1)；result = gathered[: tensor.numel()]"
                    ".reshape(tensor.shape)",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations",
            url="https://doi.org/10.1016/j.jpdc.2008.09.002",
            where="abstract: a tight lower bound on the data communicated, and a ring algorithm that attains it",
        ),
        Source(
            title="Baidu Research 2017, Bringing HPC Techniques to Deep Learning, and baidu-research/baidu-allreduce",
            url="https://github.com/baidu-research/baidu-allreduce/blob/master/collectives.cu",
            where="RingAllreduce and its comment: 2K(N - 1)/N bytes sent and received by each node",
        ),
        Source(
            title="Sergeev and Del Balso 2018, Horovod: fast and easy distributed deep learning in TensorFlow",
            url="https://arxiv.org/abs/1802.05799",
            where="section 3: each of N nodes communicates with two of its peers 2 (N - 1) times",
        ),
        Source(
            title="NCCL, src/device/all_reduce.h and src/device/reduce_scatter.h",
            url="https://github.com/NVIDIA/nccl/blob/master/src/device/all_reduce.h",
            where="runRing",
        ),
        Source(
            title="nccl-tests, doc/PERFORMANCE.md",
            url="https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md",
            where="bus bandwidth: the factors 2(n-1)/n and (n-1)/n",
        ),
        Source(
            title="NCCL issues 457, 471 and 1712, answers of its maintainers",
            url="https://github.com/NVIDIA/nccl/issues/457",
            where="ring 2(N-1)*S/N, tree 2*S; ring: high latency, best bandwidth; latency linear in the ranks",
        ),
        Source(
            title="gloo, gloo/allreduce.cc",
            url="https://github.com/facebookincubator/gloo/blob/main/gloo/allreduce.cc",
            where="the ring algorithm: sends to rank - 1, chunks of the last ranks may be partial or empty",
        ),
        Source(
            title="Open MPI, ompi/mca/coll/base/coll_base_allreduce.c",
            url="https://github.com/open-mpi/ompi/blob/main/ompi/mca/coll/base/coll_base_allreduce.c",
            where="ompi_coll_base_allreduce_intra_ring",
        ),
        Source(
            title="Horovod, horovod/torch/mpi_ops.py",
            url="https://github.com/horovod/horovod/blob/master/horovod/torch/mpi_ops.py",
            where="allreduce: op defaults to Average",
        ),
        Source(
            title="PyTorch, torch/distributed/distributed_c10d.py",
            url="https://github.com/pytorch/pytorch/blob/main/torch/distributed/distributed_c10d.py",
            where="all_reduce: operates in-place, bitwise identical in all processes; read at 2.13",
        ),
        Source(
            title="PyTorch, torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py",
            url="https://github.com/pytorch/pytorch/blob/main/torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py",
            where="foreach_reduce, foreach_all_gather; read at 2.13",
        ),
        Source(
            title="Megatron-LM, megatron/core/distributed/param_and_grad_buffer.py",
            url="https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/distributed/param_and_grad_buffer.py",
            where="shard_buffer, start_grad_sync, start_param_sync",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``parallelism/ring-all-reduce``."""
    return [RING_ALL_REDUCE]
