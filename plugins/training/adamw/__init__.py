"""The technique ``training/adamw``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

ADAMW = Technique(
    id="training/adamw",
    title={"en": "AdamW", "zh": "AdamW：解耦权重衰减的 Adam"},
    summary={
        "en": "Each number of a model steps by the mean of its gradients over the root of their mean square, both "
        "corrected for having begun at zero. Weight decay is taken off beside that, not through the gradient.",
        "zh": "模型的每个数按“梯度的均值除以梯度均方的平方根”走一步，两个均值都修正了从零开始的偏差。"
        "权重衰减单独减去，不经过梯度。",
    },
    headline={
        "en": "The decay does what it says: every weight shrinks by lr * weight_decay a step, whatever its gradients. "
        "As an L2 term in Adam's gradient it does not. Price: two averages, 8 bytes a parameter in fp32.",
        "zh": "衰减言行一致：每个权重每步缩小 lr * weight_decay 的比例，与梯度无关；作为 L2 项混进 Adam 的梯度则不然。"
        "代价：两个滑动平均，fp32 时每个参数 8 字节。",
    },
    package=__name__,
    implements="AdamW",
    interface="groundup.core.interfaces.optimizer:Optimizer",
    holes=(
        Hole(
            hints=(
                {
                    "en": "What does Algorithm 2 of the paper set to zero before its loop? One of each for every "
                    "parameter.",
                    "zh": "论文的算法 2 在循环之前把哪些量设为零？每个参数各有一份。",
                },
                {
                    "en": "A dict by name, in it a dict of three entries for each parameter: the int 0 and two tensors "
                    "like the parameter. Make them anew for each, not once for all.",
                    "zh": "以参数名为键的字典，每个参数对应一个有三项的字典：整数 0，和两个与参数同形的张量。"
                    "每个参数都要新建，不要共用一份。",
                },
                {
                    "en": 'state = {name: {"step": 0, "exp_avg": torch.zeros_like(param), "exp_avg_sq": '
                    "torch.zeros_like(param)} for name, param in params.items()}",
                    "zh": '字典推导式：state = {name: {"step": 0, "exp_avg": torch.zeros_like(param), "exp_avg_sq": '
                    "torch.zeros_like(param)} for name, param in params.items()}",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "A frozen layer, an expert that no token went to: autograd leaves None for it, and the "
                    "caller leaves it out. Is that the same as a gradient of zeros?",
                    "zh": "冻结的层、没有词元经过的专家：自动求导给出 None，调用者就不传它。这和全零的梯度一样吗？",
                },
                {
                    "en": "new_params and new_state already hold the old values under every name, so nothing has to be "
                    "done for it.",
                    "zh": "new_params 和 new_state 里每个名字下都已经是旧值，所以对它什么也不用做。",
                },
                {"en": "if name not in grads: continue", "zh": "一句就够：if name not in grads: continue"},
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Count this step first. An exponential average keeps a share beta of what it was, and takes "
                    "1 - beta of what is new.",
                    "zh": "先计入这一步。指数滑动平均保留旧值的 beta 份，再加上新值的 1 - beta 份。",
                },
                {
                    "en": "Take the gradient into the parameter's dtype before anything else. exp_avg averages it with "
                    "beta1, exp_avg_sq its square with beta2. No mul_ or add_: what is passed in stays as it was.",
                    "zh": "先把梯度转成参数的 dtype。exp_avg 用 beta1 平均梯度，exp_avg_sq 用 beta2 平均它的平方。"
                    "不要用 mul_ 或 add_：传入的东西要保持原样。",
                },
                {
                    "en": 'step = state[name]["step"] + 1; grad = grads[name].to(param.dtype); exp_avg = beta1 * '
                    'state[name]["exp_avg"] + (1 - beta1) * grad; exp_avg_sq the same with beta2 and grad**2',
                    "zh": 'step = state[name]["step"] + 1；grad = grads[name].to(param.dtype)；exp_avg = beta1 * '
                    'state[name]["exp_avg"] + (1 - beta1) * grad；exp_avg_sq 同理，换成 beta2 和 grad**2',
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "After the first step the averages are only (1 - beta1) * g and (1 - beta2) * g^2. What must "
                    "each be divided by to be g and g^2?",
                    "zh": "第一步之后，两个滑动平均只有 (1 - beta1) * g 和 (1 - beta2) * g^2。"
                    "各要除以多少，才等于 g 和 g^2？",
                },
                {
                    "en": "bias_correction1 and bias_correction2 are 1 - beta**step, each with its own beta. Divide "
                    "before the root is taken. eps is added to the root: that is denom.",
                    "zh": "bias_correction1 和 bias_correction2 是 1 - beta**step，各用各的 beta。先除，再开方。"
                    "eps 加在开方之后，得到 denom。",
                },
                {
                    "en": "bias_correction1, bias_correction2 = 1 - beta1**step, 1 - beta2**step; denom = (exp_avg_sq "
                    "/ bias_correction2).sqrt() + self.eps; update = exp_avg / bias_correction1 / denom",
                    "zh": "bias_correction1, bias_correction2 = 1 - beta1**step, 1 - beta2**step；denom = (exp_avg_sq "
                    "/ bias_correction2).sqrt() + self.eps；update = exp_avg / bias_correction1 / denom",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Two things are subtracted from the parameter. Only one of them has to do with gradients.",
                    "zh": "从参数里要减去两样东西，其中只有一样与梯度有关。",
                },
                {
                    "en": "lr times the update, and lr times weight_decay times the old parameter. A new tensor: param "
                    "itself was passed in.",
                    "zh": "lr 乘以 update，以及 lr 乘以 weight_decay 再乘以旧参数。要新建张量：param 是传进来的。",
                },
                {
                    "en": "new_param = param - self.lr * (update + self.weight_decay * param)",
                    "zh": "new_param = param - self.lr * (update + self.weight_decay * param)",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization",
            url="https://arxiv.org/abs/1711.05101",
            where="Algorithm 2 (Adam with L2 and with decoupled decay); abstract",
        ),
        Source(
            title="The authors' code: UPDATETORCHFILES/adam.lua",
            url="https://github.com/loshchil/AdamW-and-SGDW/blob/master/UPDATETORCHFILES/adam.lua",
            where="adam_type 0 is L2, any other is decoupled; the decay is taken of xold",
        ),
        Source(
            title="Kingma and Ba 2015, Adam: A Method for Stochastic Optimization",
            url="https://arxiv.org/abs/1412.6980",
            where="Algorithm 1; section 2 (epsilon hat), 3 (bias correction)",
        ),
        Source(
            title="PyTorch, torch/optim/adam.py and adamw.py",
            url="https://github.com/pytorch/pytorch/blob/main/torch/optim/adam.py",
            where="_single_tensor_adam with decoupled_weight_decay; AdamW.__init__ for the defaults; read at 2.13.0",
        ),
        Source(
            title="Optax, optax/_src/alias.py and transform.py",
            url="https://github.com/google-deepmind/optax/blob/main/optax/_src/alias.py",
            where="adamw (on weight_decay and the learning rate); scale_by_adam (eps_root, one count)",
        ),
        Source(
            title="Composer, composer/optim/decoupled_weight_decay.py",
            url="https://github.com/mosaicml/composer/blob/main/composer/optim/decoupled_weight_decay.py",
            where="DecoupledAdamW: the decay follows the schedule, not the base learning rate",
        ),
        Source(
            title="Keras, keras/src/optimizers/adam.py, adamw.py and base_optimizer.py",
            url="https://github.com/keras-team/keras/blob/master/keras/src/optimizers/adam.py",
            where="Adam.update_step; BaseOptimizer._apply_weight_decay",
        ),
        Source(
            title="BERT, optimization.py",
            url="https://github.com/google-research/bert/blob/master/optimization.py",
            where="AdamWeightDecayOptimizer.apply_gradients: no bias correction",
        ),
        Source(
            title="GaLore, galore_torch/adamw.py",
            url="https://github.com/jiaweizzhao/GaLore/blob/master/galore_torch/adamw.py",
            where="AdamW.step, made from Hugging Face transformers' former AdamW: decay after the update",
        ),
        Source(
            title="DeepSpeed, deepspeed/ops/adam/fused_adam.py and csrc/adam/multi_tensor_adam.cu",
            url="https://github.com/deepspeedai/DeepSpeed/blob/master/csrc/adam/multi_tensor_adam.cu",
            where="FusedAdam (adam_w_mode), AdamFunctor with ADAM_MODE_1",
        ),
        Source(
            title="Megatron-LM, megatron/core/optimizer/__init__.py",
            url="https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/optimizer/__init__.py",
            where="FusedAdam with adam_w_mode = decoupled_weight_decay; wd_mult 0 for biases and vectors",
        ),
        Source(
            title="nanoGPT, model.py",
            url="https://github.com/karpathy/nanoGPT/blob/master/model.py",
            where="GPT.configure_optimizers",
        ),
        Source(
            title="Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
            url="https://arxiv.org/abs/1910.02054",
            where="section 3.1: 16 bytes a parameter with Adam in mixed precision",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``training/adamw``."""
    return [ADAMW]
