"""The technique ``parallelism/data-parallel``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

DATA_PARALLEL = Technique(
    id="parallelism/data-parallel",
    title={"en": "Data parallelism", "zh": "数据并行"},
    summary={
        "en": "Every rank keeps a copy of the model and works on its own examples. Gradients are averaged in buckets, "
        "each started as soon as its last gradient is there, while the backward pass still runs.",
        "zh": "每个 rank 保存一份模型副本，处理自己的样本。梯度分桶求平均：桶里最后一个梯度一到就启动，"
        "这时反向传播还在进行。",
    },
    headline={
        "en": "The gradients of one machine with all examples, for 2 (N - 1) / N of the parameters' bytes a step, most "
        "of it hidden behind the backward pass: near-linear scaling up to 256 GPUs.",
        "zh": "得到的梯度与一台机器处理全部样本相同，每步发送参数字节数的 2 (N - 1) / N，"
        "且大部分藏在反向传播背后：直到 256 块 GPU 都接近线性扩展。",
    },
    package=__name__,
    implements="DataParallel",
    interface="groundup.core.interfaces.parallel:ParallelStrategy",
    distributed=True,
    requires=("parallelism/ring-all-reduce",),
    holes=(
        Hole(
            hints=(
                {
                    "en": "If all ranks begin with the same numbers and step with the same gradients, they stay the "
                    "same. Which call gives every rank what one rank has?",
                    "zh": "所有 rank 起点相同、每步用相同的梯度，就会一直相同。"
                    "哪个调用能把一个 rank 的东西交给每个 rank？",
                },
                {
                    "en": "self.comm.broadcast(tensor, source) returns rank source's tensor on every rank. Every rank "
                    "calls it, once for each name, in the same order.",
                    "zh": "self.comm.broadcast(tensor, source) 在每个 rank 上返回 source 的张量。每个 rank 都要调用，"
                    "每个名字一次，次序相同。",
                },
                {
                    "en": "shards[name] = self.comm.broadcast(value, source=0), for every name and value in params",
                    "zh": "对 params 的每个名字和值：shards[name] = self.comm.broadcast(value, source=0)",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Which parameter's gradient comes first in the backward pass? The first bucket begins "
                    "with it.",
                    "zh": "反向传播中哪个参数的梯度最先出来？第一个桶就从它装起。",
                },
                {
                    "en": "Walk through reversed(shards.items()) and count the bytes of the last bucket. A new bucket "
                    "begins where this tensor would take the last one above bucket_bytes_cap, unless that is still "
                    "empty.",
                    "zh": "沿 reversed(shards.items()) 走，记下最后一个桶的字节数。装进这个张量会超过 "
                    "bucket_bytes_cap 时另起一桶，除非最后一个桶还是空的。",
                },
                {
                    "en": "buckets begins as [[]]. if bucket_bytes and bucket_bytes + value.nbytes > "
                    "self.bucket_bytes_cap: buckets.append([]); bucket_bytes = 0. Then buckets[-1].append(name) and "
                    "bucket_bytes += value.nbytes.",
                    "zh": "buckets 从 [[]] 开始。if bucket_bytes and bucket_bytes + value.nbytes > "
                    "self.bucket_bytes_cap: buckets.append([])；bucket_bytes = 0。然后 buckets[-1].append(name)，"
                    "bucket_bytes += value.nbytes。",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Which bucket is the only one that may be started now? How many have been started says so.",
                    "zh": "现在只有哪一个桶可以启动？看已经启动了几个就知道。",
                },
                {
                    "en": "While bucket number len(self.works) exists and all its names are in self.ready_grads: "
                    "flatten its gradients into one tensor, start its all-reduce, append what that returns.",
                    "zh": "只要第 len(self.works) 个桶存在，且它的名字都在 self.ready_grads 里："
                    "把它的梯度展平成一个张量，启动 all-reduce，把返回值追加进去。",
                },
                {
                    "en": "flat = torch.cat([self.ready_grads[n].reshape(-1) for n in bucket]); "
                    "self.works.append(self.comm.start_all_reduce(flat)), inside a while, not an if",
                    "zh": "flat = torch.cat([self.ready_grads[n].reshape(-1) for n in bucket])；"
                    "self.works.append(self.comm.start_all_reduce(flat))，放在 while 里，而不是 if 里",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Another rank may be waiting for a bucket of which you have not a single gradient. What do "
                    "you send it?",
                    "zh": "别的 rank 可能正等着一个你连一个梯度都没有的桶。你发什么给它？",
                },
                {
                    "en": "Call mark_variable_ready with zeros_like for every name that is not in ready_grads. Then, "
                    "bucket by bucket, wait for the sum, divide it by the number of ranks, split it by numel, and "
                    "reshape.",
                    "zh": "对每个不在 ready_grads 里的名字，用 zeros_like 调用 mark_variable_ready。然后逐桶等待总和，"
                    "除以 rank 数，按 numel 切开，再 reshape。",
                },
                {
                    "en": "mean = work.wait() / self.comm.size; torch.split(mean, [self.shards[n].numel() "
                    "for n in bucket]) gives the parts, in the order in which they were put in",
                    "zh": "mean = work.wait() / self.comm.size；torch.split(mean, [self.shards[n].numel() "
                    "for n in bucket]) 按装入的次序给出各部分",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "When is a gradient handed to mark_variable_ready: after backward has returned, or by "
                    "something that backward calls on its way?",
                    "zh": "梯度什么时候交给 mark_variable_ready：等 backward 返回之后，"
                    "还是由 backward 途中调用的东西来交？",
                },
                {
                    "en": "leaf = value.detach().requires_grad_() makes a new leaf. Give each one a hook that calls "
                    "mark_variable_ready with its own name, then model.forward, model.loss and backward.",
                    "zh": "leaf = value.detach().requires_grad_() 得到一个新的叶子。给每个叶子一个钩子，"
                    "用它自己的名字调用 mark_variable_ready，然后是 model.forward、model.loss 和 backward。",
                },
                {
                    "en": "leaf.register_post_accumulate_grad_hook("
                    "lambda leaf, name=name: self.mark_variable_ready(name, leaf.grad))",
                    "zh": "leaf.register_post_accumulate_grad_hook("
                    "lambda leaf, name=name: self.mark_variable_ready(name, leaf.grad))",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
            url="https://arxiv.org/abs/2006.15704",
            where="abstract (256 GPUs), gradient bucketing, overlapping computation with communication",
        ),
        Source(
            title="PyTorch, torch/csrc/distributed/c10d/reducer.cpp",
            url="https://github.com/pytorch/pytorch/blob/main/torch/csrc/distributed/c10d/reducer.cpp",
            where="prepare_for_backward, autograd_hook, mark_variable_ready, mark_bucket_ready, finalize_backward, "
            "compute_bucket_assignment_by_size, all_reduce_local_used_map",
        ),
        Source(
            title="PyTorch, torch/nn/parallel/distributed.py",
            url="https://github.com/pytorch/pytorch/blob/main/torch/nn/parallel/distributed.py",
            where="DistributedDataParallel; _BucketCapacityConfig; read at 2.13.0",
        ),
        Source(
            title="PyTorch notes, Distributed Data Parallel",
            url="https://pytorch.org/docs/stable/notes/ddp.html",
            where="internal design: construction, forward pass, backward pass",
        ),
        Source(
            title="Megatron-LM, megatron/core/distributed",
            url="https://github.com/NVIDIA/Megatron-LM/tree/main/megatron/core/distributed",
            where="distributed_data_parallel.py: DistributedDataParallel; param_and_grad_buffer.py: "
            "_ParamAndGradBuffer, _ParamAndGradBucketGroup",
        ),
        Source(
            title="DeepSpeed, deepspeed/runtime/engine.py",
            url="https://github.com/deepspeedai/DeepSpeed/blob/master/deepspeed/runtime/engine.py",
            where="buffered_allreduce_fallback, allreduce_no_retain",
        ),
        Source(
            title="Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations",
            url="https://doi.org/10.1016/j.jpdc.2008.09.002",
            where="2 (N - 1) / N of the data for each rank",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``parallelism/data-parallel``."""
    return [DATA_PARALLEL]
