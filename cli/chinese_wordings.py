"""The Chinese of what is said elsewhere and told by its wording: errors of the registry and the judge, and verdicts.

The first wording that fits counts. A field is looked up in turn. The words of the field are those of ``chinese``.
"""

__all__ = ["WORDINGS"]

WORDINGS = {
    # a class of submissions
    "the submission is a link; a folder is wanted": "提交是链接，这里要的是文件夹",
    "the folder cannot be read: {why}": "无法读取该文件夹：{why}",
    "the file cannot be read: {why}": "无法读取该文件：{why}",
    "links in a circle": "链接成环",
    "no {name} and no other Python file": "没有 {name}，也没有别的 Python 文件",
    "several files are called {name}: {files}": "有多个文件名为 {name}：{files}",
    "no {name}, and several Python files: {files}": "没有 {name}，而有多个 Python 文件：{files}",
    "the file is a link that leads out of the submission": "该文件是指向提交之外的链接",
    "what bears the attempt's name is not an ordinary file": "以作答命名的不是普通文件",
    "more than {count} files: that is no attempt": "文件超过 {count} 个：那不是作答",
    "larger than {size} KiB: that is no attempt": "大于 {size} KiB：那不是作答",
    "the file is empty": "文件是空的",
    "not UTF-8 text (byte {at}): {guess}": "不是 UTF-8 文本（第 {at} 字节）：{guess}",
    "not text (byte {at} is 0): {guess}": "不是文本（第 {at} 字节为 0）：{guess}",
    "it looks like UTF-16; save it as UTF-8": "看起来是 UTF-16；请保存为 UTF-8",
    "it looks like a binary file": "看起来是二进制文件",
    "save it as UTF-8": "请保存为 UTF-8",
    "its judge {end}, {count} times in a row": "评判它的进程连续 {count} 次{end}",
    "was ended by {name}": "被 {name} 终止",
    "ended with exit code {code}": "以退出码 {code} 结束",
    "did not answer within {seconds} s": "在 {seconds} 秒内没有回答",
    "{folder} is not a folder: name the folder that holds one folder for each learner.": (
        "{folder} 不是文件夹：请指定为每位学习者各有一个文件夹的那个文件夹。"
    ),
    "{folder} does not exist: name the folder that holds one folder for each learner.": (
        "{folder} 不存在：请指定为每位学习者各有一个文件夹的那个文件夹。"
    ),
    "{folder} holds no submissions. Each learner's file goes into a folder that bears their name, as in {example}.": (
        "{folder} 里没有提交。每位学习者的文件要放进以其姓名命名的文件夹，例如 {example}。"
    ),
    "{folder} holds no submissions. The {count} files in it belong to nobody: Each learner's file goes into a folder "
    "that bears their name, as in {example}.": (
        "{folder} 里没有提交。其中的 {count} 个文件不属于任何人：每位学习者的文件要放进"
        "以其姓名命名的文件夹，例如 {example}。"
    ),
    "{folder} holds two folders that both read as {name}: rename one of them.": (
        "{folder} 里有两个文件夹的名字都读作 {name}：请给其中一个改名。"
    ),
    "No {kind} {name}. {folder} holds {count}.": "没有名为 {name} 的{kind}。{folder} 里有 {count} 份。",
    "submission": "提交",
    "{folder} holds other files ({name}), and no results of 'learn grade-many': name another folder with --out.": (
        "{folder} 里有别的文件（{name}），而没有 'learn grade-many' 的结果：请用 --out 指定另一个文件夹。"
    ),
    "{folder} is not a folder: name another with --out.": "{folder} 不是文件夹：请用 --out 指定另一个。",
    "{folder} is a file: name a folder with --out.": "{folder} 是文件：请用 --out 指定一个文件夹。",
    "{folder} is being written by another 'learn grade-many': wait for it, or name another folder.": (
        "另一个 'learn grade-many' 正在写入 {folder}：请等它结束，或指定另一个文件夹。"
    ),
    "{folder} holds results of {other}: name another folder for {id} with --out.": (
        "{folder} 里是 {other} 的结果：请用 --out 为 {id} 指定另一个文件夹。"
    ),
    "What {folder} holds was graded with something else ({what}): --regrade grades all again and shows who moved; or "
    "name another folder with --out.": (
        "{folder} 里的结果是用别的设置评判的（{what}）：--regrade 会全部重新评判，"
        "并显示谁的结果变了；或用 --out 指定另一个文件夹。"
    ),
    "{path} cannot be written: {why}.": "无法写入 {path}：{why}。",
    "{path} cannot be written: {why}. What it holds is whole: make room, and the same command goes on.": (
        "无法写入 {path}：{why}。其中已有的内容完好：请腾出空间，同一条命令会继续。"
    ),
    "{file}, line {number} cannot be read ({why}). Delete that line, and the same command grades that submission "
    "again.": ("{file} 第 {number} 行无法读取（{why}）。请删除那一行，同一条命令会重新评判那份提交。"),
    "{file} cannot be read ({why}). Without it nobody knows what the results were graded with: name another folder "
    "with --out.": "无法读取 {file}（{why}）。没有它，就无从知道结果是用什么评判的：请用 --out 指定另一个文件夹。",
    "The secret seed {file} cannot be read: {why}. {how} makes one.": (
        "无法读取秘密种子 {file}：{why}。{how} 可以生成一个。"
    ),
    "The secret seed in {where} has {count} characters, and at least {least} are needed so that nobody can guess it: "
    "{how} makes one.": (
        "{where} 中的秘密种子有 {count} 个字符；至少要 {least} 个，才没有人能猜到：{how} 可以生成一个。"
    ),
    "The points {file} cannot be read: {why}.": "无法读取分数文件 {file}：{why}。",
    "{file} is not TOML: {why}.": "{file} 不是 TOML：{why}。",
    "{file} gives no points: a table [points] is wanted, with lines such as {example} = 3.": (
        "{file} 没有给出分数：要有一个 [points] 表，其中的行形如 {example} = 3。"
    ),
    "{file}: {name} is given twice, with and without 'test_'.": "{file}：{name} 给出了两次，一次带 'test_'，一次不带。",
    "{file}: {name} = {value} is not a number of points, 0 or more.": (
        "{file}：{name} = {value} 不是大于等于 0 的分数。"
    ),
    "{file} gives every property 0 points: nothing would be left to score.": (
        "{file} 给每条性质都是 0 分：就没有可以计分的了。"
    ),
    "property in {file}:": "性质（{file}）",
    "table in {file}:": "表（{file}）",
    "--database {url} is not an SQLAlchemy URL: {example} is one, {other} another.": (
        "--database {url} 不是 SQLAlchemy 地址：{example} 和 {other} 都是。"
    ),
    "--engine ray needs Ray, which is not installed here: {how} installs it. Without it, --engine local grades on this "
    "machine.": "--engine ray 需要 Ray，而这里没有安装：{how} 可以安装它。没有它时，--engine local 在这台机器上评判。",
    # what contains attempts
    "it needs Linux": "需要 Linux",
    "this kernel has no Landlock (Linux 5.13 or newer, enabled at boot)": (
        "内核没有 Landlock（需要 Linux 5.13 或更高版本，并在启动时启用）"
    ),
    "system calls cannot be filtered on this kernel or processor": "此内核或处理器无法过滤系统调用",
    "bubblewrap is not installed (on Debian and Ubuntu: apt install bubblewrap)": (
        "未安装 bubblewrap（Debian 和 Ubuntu：apt install bubblewrap）"
    ),
    "bubblewrap does not run ({why})": "bubblewrap 无法运行（{why}）",
    "bubblewrap may not, or cannot, make namespaces here ({why})": "bubblewrap 在此无权或无法创建命名空间（{why}）",
    "No containment '{what}': it may be {known}.": "没有名为 '{what}' 的隔离级别：可选 {known}。",
    "{name} is '{asked}': it may be {known} or {last}.": "{name} 是 '{asked}'：可选 {known} 或 {last}。",
    "{name} asks for '{asked}', which this machine does not have: {why}.": "{name} 要求 '{asked}'，而本机没有：{why}。",
    "Containment '{what}' is demanded, and {name} asks for '{layer}'. Unset it, or demand less.": (
        "要求的隔离级别是 '{what}'，而 {name} 指定了 '{layer}'。请取消后者，或降低要求。"
    ),
    "Containment '{what}' is demanded, and attempts run in '{layer}' here: {why}. Nothing was run.": (
        "要求的隔离级别是 '{what}'，而作答在本机运行于 '{layer}'：{why}。没有运行任何代码。"
    ),
    "An attempt cannot be contained here by '{layer}': {why}. {weaker}": (
        "本机无法用 '{layer}' 隔离作答：{why}。{weaker}"
    ),
    "{name}=landlock or process grades with weaker walls.": "设置 {name}=landlock 或 process 可用较弱的隔离进行评判。",
    "bubblewrap did not isolate the process that runs attempts. {weaker}": (
        "bubblewrap 没有隔离运行作答的进程。{weaker}"
    ),
    # names
    "No {kind} {name}. Did you mean {near}?": "没有名为 {name} 的{kind}。你要的是 {near} 吗？",
    "No {kind} {name}. 'learn list' shows what there is.": "没有名为 {name} 的{kind}。'learn list' 列出所有内容。",
    "No {kind} {name}. 'learn --help' lists them.": "没有名为 {name} 的{kind}。'learn --help' 列出所有命令。",
    "No {kind} {name}.": "没有名为 {name} 的{kind}。",
    "technique": "技术",
    "day or technique": "日程或技术",
    "command": "命令",
    "roadmap": "路线图",
    "track": "方向",
    "'{one}' or '{two}' or '{three}'": "'{one}'、'{two}' 或 '{three}'",
    "'{one}' or '{two}'": "'{one}' 或 '{two}'",
    "{name} names several techniques: say {ids}.": "{name} 对应多项技术：请写全 {ids}。",
    "Technique {name} ({day} of {roadmap}) is not written yet. 'learn list' shows what there is.": (
        "技术 {name}（{roadmap} 的 {day}）尚未编写。'learn list' 列出所有内容。"
    ),
    "Roadmap {roadmap} has {count} days, day-1 to day-{last}; no {name}.": (
        "路线图 {roadmap} 共 {count} 天，从 day-1 到 day-{last}，没有 {name}。"
    ),
    "No {kind} {name}. It has {names}.": "没有名为 {name} 的{kind}。它有 {names}。",
    "property of {id}": "{id} 的性质",
    "{path} is no dispute: {where}: {why}": "{path} 不是争议文件：{where}：{why}",
    "{path} is larger than {size} MiB: that is no dispute.": "{path} 超过 {size} MiB：这不会是争议文件。",
    # files
    "There is no file {path}.": "没有文件 {path}。",
    "{path} is not a file.": "{path} 不是文件。",
    "{path} is larger than {size} KiB: that is no attempt.": "{path} 超过 {size} KiB：这不会是作答。",
    "{path} is not UTF-8 text (byte {byte}): save it as UTF-8.": (
        "{path} 不是 UTF-8 文本（第 {byte} 字节）：请存为 UTF-8。"
    ),
    "{path} cannot be read: {why}.": "无法读取 {path}：{why}。",
    "The lab of {technique} needs {package}, which is not installed here: {command} installs it.": (
        "{technique} 的实验需要 {package}，这里没有安装：可以用 {command} 安装。"
    ),
    "BdbQuit: nobody can type here; 'learn replay --pdb' stops there, on the case that failed": (
        "BdbQuit：这里无人能输入；'learn replay --pdb' 会停在失败的用例上"
    ),
    "The file cannot be loaded: {error} (line {number}, in {name}: {code})": (
        "无法加载该文件：{error}（第 {number} 行，{name} 中：{code}）"
    ),
    "The file cannot be loaded: {error} (line {number}: {code})": "无法加载该文件：{error}（第 {number} 行：{code}）",
    "The file cannot be loaded: {why}.": "无法加载该文件：{why}。",
    "The file cannot be loaded: {error}": "无法加载该文件：{error}",
    # how a process died
    "Your code ended the lab: {how}: {detail}.": "你的代码使实验终止：{how}：{detail}。",
    "timeout: {detail}": "超时：{detail}",
    "memory: {detail}": "内存：{detail}",
    "crash: {detail}": "崩溃：{detail}",
    "exit: {detail}": "退出：{detail}",
    "flood: {detail}": "输出过多：{detail}",
    "protocol: {detail}": "协议：{detail}",
    "timeout": "超时",
    "memory": "内存",
    "crash": "崩溃",
    "exit": "退出",
    "flood": "输出过多",
    "protocol": "协议",
    "a call used more than the {seconds} s of CPU time it may use": "一次调用用掉的 CPU 时间超过了允许的 {seconds} 秒",
    "the grading used more than the {seconds} s of CPU time it may use": "评判用掉的 CPU 时间超过了允许的 {seconds} 秒",
    "a call did nothing for {seconds} s: it sleeps, or waits for what never comes": (
        "一次调用有 {seconds} 秒什么也没做：它在睡眠，或者在等永远不会来的东西"
    ),
    "its calls did nothing for {seconds} s in all": "各次调用总共有 {seconds} 秒什么也没做",
    "a call took longer than {seconds} s": "一次调用超过了 {seconds} 秒",
    "the grading took longer than {seconds} s": "评判超过了 {seconds} 秒",
    "it used up its processor time": "用完了允许的处理器时间",
    "it asked for more than the {size} GiB it may use": "申请的内存超过了允许的 {size} GiB",
    "it printed more than {size} MiB": "输出超过了 {size} MiB",
    "the process was killed; most often the machine had no memory left for it": (
        "进程被杀死；最常见的原因是机器没有剩余内存"
    ),
    "the process crashed with {signal}": "进程因 {signal} 崩溃",
    "the process ended by itself with exit code {code}": "进程自行结束，退出码 {code}",
    "the process closed its connection": "进程关闭了连接",
    "the process answered with {what}": "进程的回答是：{what}",
    # ranks that do not fit together
    "the ranks wait for each other: {ranks}": "各个 rank 在互相等待：{ranks}",
    "a call was begun that not every rank made: {ranks}": "有的调用并非每个 rank 都发起了：{ranks}",
    "collective call {number} is not the same on all ranks: {ranks}": (
        "第 {number} 次集合通信在各个 rank 上不一致：{ranks}"
    ),
    "rank {rank} waits for a call that is not under way: it was begun in an earlier step": (
        "rank {rank} 在等一个并未进行的调用：它是在更早的一步里发起的"
    ),
    "rank {rank} waits in {call}; {ranks}": "rank {rank} 停在 {call}；{ranks}",
    "rank {rank} has returned; {ranks}": "rank {rank} 已经返回；{ranks}",
    "rank {rank} began {call}; {ranks}": "rank {rank} 发起了 {call}；{ranks}",
    "rank {rank} calls {call}; {ranks}": "rank {rank} 调用 {call}；{ranks}",
    "rank {rank} waits in {call}": "rank {rank} 停在 {call}",
    "rank {rank} has returned": "rank {rank} 已经返回",
    "rank {rank} began {call}": "rank {rank} 发起了 {call}",
    "rank {rank} calls {call}": "rank {rank} 调用 {call}",
    "{call} to rank {to} from rank {source} (line {number})": (
        "{call}（发往 rank {to}，来自 rank {source}，第 {number} 行）"
    ),
    "{call} to rank {to} (line {number})": "{call}（发往 rank {to}，第 {number} 行）",
    "{call} from rank {source} (line {number})": "{call}（来自 rank {source}，第 {number} 行）",
    "{call} (line {number})": "{call}（第 {number} 行）",
    "rank {rank}: {detail}": "rank {rank}：{detail}",
    "it sent more than {size} MiB in one call": "它在一次调用中发送了超过 {size} MiB",
    # what an attempt raised or returned
    "A hole is still empty: {hole}. Fill it, or run the lab with --reference.": (
        "还有空没填：{hole}。请填好它，或用 --reference 运行实验。"
    ),
    "Your code raised {error}": "你的代码抛出了 {error}",
    "it raised {error}": "抛出了 {error}",
    "line {number}, in {name}: {code}": "第 {number} 行，{name} 中：{code}",
    "line {number}: {code}": "第 {number} 行：{code}",
    "NameError: the file must define {name}; it defines nothing": (
        "NameError: 文件必须定义 {name}，但它什么也没有定义"
    ),
    "NameError: the file must define {name}; it defines {names}": (
        "NameError: 文件必须定义 {name}，但它定义的是 {names}"
    ),
    "ModuleNotFoundError: an attempt cannot import {name}; it has the standard library, {names} and "
    "groundup.core.interfaces": (
        "ModuleNotFoundError: 作答不能导入 {name}；可用的有标准库、{names} 和 groundup.core.interfaces"
    ),
    "the answer cannot be used: {why}": "无法使用这个返回值：{why}",
    "the answer holds {what}, which cannot leave the attempt's process: return tensors, numbers, text, lists, "
    "tuples, or dicts whose keys are text": (
        "返回值里有 {what}，它不能离开作答的进程：请返回张量、数、文本、列表、元组，或键为文本的字典"
    ),
    "the same case was answered in two ways, once wrong: {how}": "同一个用例有两种回答，其中一次是错的：{how}",
    "see above": "见上",
    "the property never called the attempt": "这条性质没有调用过作答",
    "the reference fails this case as well: {why}": "参考实现在这个用例上也不成立：{why}",
    # how an answer differs
    "{what} differs at [{index}]": "{what}在 [{index}] 处不同",
    "{what} differs": "{what}不同",
    "{what} is no tensor": "{what}不是张量",
    "{what} has another shape or dtype": "{what}的形状或 dtype 不同",
    "{what} has another shape": "{what}的形状不同",
    "{what} has another dtype": "{what}的 dtype 不同",
    "{what} carries no gradient": "{what}没有梯度",
    "{what} carries a gradient": "{what}带有梯度",
    "{what} is accepted": "接受了{what}",
    "read returns no pair": "read 返回的不是一对值",
    "the call changed its input {name} in place": "这次调用就地改动了它的输入 {name}",
    "inputs left as they were": "输入保持不变",
    "an input changed": "有输入被改动",
    "a result that depends on its inputs": "依赖于输入的结果",
    "one cut off from them": "与输入断开的结果",
    "a tensor of shape {shape}": "形状为 {shape} 的张量",
    "a tensor": "张量",
    "None: is a 'return' missing?": "None：是不是少了 return？",
    "a tuple of keys and values": "由键和值组成的元组",
    "shape {shape}": "形状 {shape}",
    "{error} raised": "抛出 {error}",
    "no error": "没有报错",
    "[{index}]: expected {expected}, got {got}": "[{index}]：期望 {expected}，实际 {got}",
    "steps": "步骤",
    # of what: the parts that the properties of the built-in techniques name
    "the result": "结果",
    "the loss": "损失",
    "the usage": "用量",
    "the types in the usage": "用量中的类型",
    "the list of metrics": "指标列表",
    "(shape, dtype, whether it carries gradient) of {name}": "{name} 的（形状、dtype、是否带梯度）",
    "the gradient to {name} on padding": "填充处对 {name} 的梯度",
    "the gradient to {name}": "对 {name} 的梯度",
    "the {name} tensor of {count} tokens of zeros": "{count} 个全零词元的 {name} 张量",
    "whether the {name} tensor of read({call}) carries gradient": "read({call}) 的 {name} 张量是否带梯度",
    "the {name} tensor of read({call})": "read({call}) 的 {name} 张量",
    "the answer of begin({sequence})": "begin({sequence}) 的返回值",
    "the output of token {number}": "第 {number} 个词元的输出",
    "appending {count} tokens where {room} fit": "在只放得下 {room} 个词元处写入 {count} 个",
    "opening {count} sequences where {room} fit": "在只放得下 {room} 个序列时打开 {count} 个",
    "{call} with a sequence that is not open": "对未打开的序列做 {call}",
    "the weight pooled to H heads": "合并成 H 个头的权重",
    "{heads} query heads over {groups} key/value heads": "{heads} 个查询头对 {groups} 个键值头",
    "pooling {heads} heads to {groups}": "把 {heads} 个头合并成 {groups} 个",
    "pooling {heads} heads of {rows} rows": "合并 {rows} 行中的 {heads} 个头",
    "the last step": "最后一步",
    "the sum on rank {rank}, next to that on rank 0,": "rank {rank} 上的和（与 rank 0 上的相比）",
    "the error of the sum on rank {rank}": "rank {rank} 上的和的误差",
    "the sum on rank {rank}": "rank {rank} 上的和",
    "the reduced chunk of rank {rank}": "rank {rank} 归约后的块",
    "the gathered chunks on rank {rank}": "rank {rank} 上收集到的块",
    "the sum of one rank": "单个 rank 的和",
    "the reduced chunk of one rank": "单个 rank 归约后的块",
    "the gathered chunks of one rank": "单个 rank 收集到的块",
    "what rank {rank} passed in": "rank {rank} 传入的张量",
    "rank {rank} leaves work to a collective of the communicator": "rank {rank} 把工作交给了通信器的集合操作",
    "send, recv and exchange alone": "只用 send、recv 和 exchange",
    "rank {rank} of {size} sends other messages": "{size} 个 rank 中的 rank {rank} 发送的消息不对",
    "{count} message(s) of {each} bytes": "{count} 条消息，每条 {each} 字节",
    "nothing sent": "什么也不发送",
    "no message": "没有消息",
    "bytes: {numbers}": "字节数：{numbers}",
    "the messages do not go around one ring": "消息没有沿着同一个环传递",
    "every rank sends to rank + 1, or every rank to rank - 1": "每个 rank 都发给 rank + 1，或者都发给 rank - 1",
    "messages to rank {turns}": "发往 rank {turns} 的消息",
    "which names {what} have": "{what}有哪些名字",
    "{what} are no dict": "{what}不是字典",
    "the gradients on rank {rank}": "rank {rank} 上的梯度",
    "the gradients": "梯度",
    "the shards": "分片",
    "the whole parameters": "完整参数",
    "the gathered parameters": "gather 得到的参数",
    "the parameters on rank {rank}": "rank {rank} 上的参数",
    "{what} of rank {rank}": "rank {rank} 的{what}",
    "what rank {rank} sends {of} (calls, bytes)": "rank {rank} {of}发送的内容（调用，字节数）",
    "once {names} have come": "在 {names} 到来之后",
    "in a step that leaves parameters unused": "在有参数没用到的一步里",
    "in a step": "在一步里",
    "a tuple of output and gradients": "由输出和梯度组成的元组",
    "the order of names in the shards of rank {rank}": "rank {rank} 的分片中名字的次序",
    "{name} in the shards of rank {rank}": "rank {rank} 的分片中的 {name}",
    "a dict of tensors, by name": "以名字为键的张量字典",
    "the bytes that shard sends in all": "shard 总共发送的字节数",
    "what is returned is no list": "返回的不是列表",
    "the buckets": "各个 bucket",
    "rank {rank} holds buckets back until the backward pass has ended": (
        "rank {rank} 把 bucket 一直留到反向传播结束才发送"
    ),
    "{count} bucket(s) started before it reaches the first layer": "反向传播到达第一层之前已开始 {count} 个 bucket",
    "{count} bucket(s)": "{count} 个 bucket",
    "{count} message(s) of {each} bytes of {dtype}": "{count} 条消息，每条 {each} 字节，类型为 {dtype}",
    "{bytes} bytes of {dtype}": "{bytes} 字节的 {dtype}",
    "nothing sent, or empty chunks": "什么都不发，或者只发空的块",
    "a list of lists of names": "由名字的列表组成的列表",
    "the plan": "计划",
    "the gradient of the unused {name}": "没用到的 {name} 的梯度",
    "the gradient of {name} on rank {rank}, next to rank 0's,": "rank {rank} 上 {name} 的梯度（与 rank 0 的相比）",
    "the gradient of {name} on rank {rank}": "rank {rank} 上 {name} 的梯度",
    "the output of rank {rank}": "rank {rank} 的输出",
    "an input of 7 numbers where the model takes 2": "给 2 个输入的模型 7 个数",
    "the parameter {name} on rank {rank} after step {number}, next to rank 0's,": (
        "第 {number} 步后 rank {rank} 上的参数 {name}（与 rank 0 的相比）"
    ),
    "the parameter {name} on rank {rank} after step {number}": "第 {number} 步后 rank {rank} 上的参数 {name}",
    "the tables, blocks numbered as they first appear": "各块表（块按首次出现的顺序编号）",
    "block_table({sequence}), whose blocks stay where they are": "block_table({sequence})（其中的块不应移动）",
    "ref_counts(), one number for each block": "ref_counts()（每个块一个数）",
    "appending to a shared block when no block is free for the copy": "没有空闲块可供复制时写入共享的块",
    "the new parameter {name}": "新参数 {name}",
    "the new parameter": "新参数",
    "the parameter without a gradient": "没有梯度的参数",
    "the parameter passed in": "传入的参数",
    "the parameter at the second asking": "第二次询问得到的参数",
    "the share of the way": "走过的比例",
    "the average {moment} of {name}": "{name} 的滑动平均 {moment}",
    "the step of {name} is no int": "{name} 的 step 不是整数",
    "the step of {name}": "{name} 的 step",
    "an int": "一个整数",
    "step returns no pair": "step 返回的不是一对值",
    "a tuple of parameters and state": "由参数和状态组成的元组",
    "the new parameters have other names": "新参数的名字不同",
    "the state has other names": "状态里的名字不同",
    "the state of {name} has other entries": "{name} 的状态里的条目不同",
    "a tensor that requires no gradient": "不需要梯度的张量",
    "one that requires it": "需要梯度的张量",
    "a gradient of an unknown name": "名字未知的梯度",
    "a row for a matrix": "给矩阵的一行",
    "a number for a row": "给一行的一个数",
    "a column for a matrix": "给矩阵的一列",
    "a column for a row": "给一行的一列",
    "a matrix for a row": "给一行的矩阵",
    "all numbers of a matrix in a row": "矩阵的所有数排成一行",
}
