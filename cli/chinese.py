"""The Chinese of what the commands print. Both languages have the same fields in braces; quoted commands stay as typed.

The words of the field: 技术 technique, 性质 property, 命题 claim, 作答 attempt, 空 hole, 练习框架 stub, 参考实现
reference, 评判 grading, 课文 lesson, 工作区 workspace.
"""

__all__ = ["SENTENCES", "WORDINGS"]

# What the commands say themselves: every text that is given to ``tr``.
SENTENCES = {
    # several commands
    "Next": "接下来",
    ", ": "、",
    ".": "。",
    " and ": " 和 ",
    "the lesson": "课文",
    "what holds": "看看满足哪些性质",
    "what holds of your attempt": "看看你的作答满足哪些性质",
    "not written yet": "尚未编写",
    "stopped.": "已停止。",
    "the fault is not your attempt's. Please report it, with the lines above.": (
        "这不是你的作答的问题。请连同上面的内容一起报告。"
    ),
    "The folder that you are in is gone: go to another one.": "当前所在的文件夹已不存在：请换到别的文件夹。",
    "{name!r} is a day; a technique is wanted here. It brings {names}.": (
        "{name!r} 是路线图上的一天，这里要的是一项技术。这一天包括 {names}。"
    ),
    "{name!r} is a day; a technique is wanted here. None of its techniques is written yet.": (
        "{name!r} 是路线图上的一天，这里要的是一项技术。这一天的技术都尚未编写。"
    ),
    "There is no workspace here. 'learn start {name}' makes one.": "这里没有工作区。'learn start {name}' 会建一个。",
    "There is no {path} yet: 'learn start {name}' puts the stub there.": (
        "还没有 {path}：'learn start {name}' 会把练习框架放到那里。"
    ),
    "{value!r} is not a whole number from {low} to {high}.": "{value!r} 不是 {low} 到 {high} 之间的整数。",
    # start
    "Made a workspace in {folder}/: open that folder in your editor.": (
        "已在 {folder}/ 建好工作区：请用编辑器打开这个文件夹。"
    ),
    "what holds; fill the {count} holes in {path} first": "看看满足哪些性质；先填好 {path} 里的 {count} 个空",
    "what holds; fill the hole in {path} first": "看看满足哪些性质；先填好 {path} 里的空",
    "This day brings no new technique.": "这一天没有新的技术。",
    "everything that you have started": "评判所有已经开始的技术",
    "where you stand": "看看目前的进度",
    "what there is": "看看有哪些内容",
    "No day or technique {name!r}. Did you mean {day!r}?": "没有名为 {name!r} 的日程或技术。你要的是 {day!r} 吗？",
    "new": "新建",
    "passed already": "已经通过",
    "there already, left as it is": "已经存在，原样保留",
    "new; {names} builds on it": "新建；{names} 以它为基础",
    "new; {names} build on it": "新建；{names} 以它为基础",
    # grade-many
    "Say what was to be implemented, as in 'learn grade-many class/ --technique ppo'.": (
        "请说明要实现的是哪项技术，例如 'learn grade-many class/ --technique ppo'。"
    ),
    "--seed and --seed-file both give the seed: choose one.": "--seed 和 --seed-file 都给出种子：请只用一个。",
    "{out} lies inside {submissions}: name a folder beside it with --out.": (
        "{out} 位于 {submissions} 之内：请用 --out 指定旁边的文件夹。"
    ),
    "left out, as they lie beside the learners' folders: {names}": "不在学习者文件夹之内，未评判：{names}",
    "{count} are graded already; {left} are left.": "已评判 {count} 份，还剩 {left} 份。",
    "{count} submissions": "{count} 份提交",
    "fell short": "未达到要求",
    "not gradable: not their fault; the same command tries them again": (
        "无法评判：不是他们的问题；同一条命令会再试一次"
    ),
    "nothing to grade: summary.html says why": "没有可评判的文件：原因见 summary.html",
    "died": "进程终止",
    "mean score {mean:.0%}, median {median:.0%}": "平均得分 {mean:.0%}，中位数 {median:.0%}",
    "Written to {folder}: summary.html, results.csv, results.jsonl, gradescope/, logs/.": (
        "已写入 {folder}：summary.html、results.csv、results.jsonl、gradescope/、logs/。"
    ),
    "Nobody moved since the round before.": "与上一轮相比，没有人的结果有变化。",
    "{count} moved since the round before:": "与上一轮相比，{count} 份结果有变化：",
    "another file": "提交了另一份文件",
    "and {count} more: moved.csv has all": "另有 {count} 份：全部见 moved.csv",
    # status
    "Groundup: learn LLM systems by building every mechanism yourself.": (
        "Groundup：亲手实现每一个机制，由此学会大模型系统。"
    ),
    "You have no workspace here yet.": "你在这里还没有工作区。",
    "make one, with the first stubs": "建一个，并放入最初的练习框架",
    "the days of the roadmap": "看看路线图上的各天",
    "the commands": "看看有哪些命令",
    "{folder}: {count} of {total} techniques passed": "{folder}：{total} 项技术中通过了 {count} 项",
    "(not written yet)": "（尚未编写）",
    "beside the roadmap": "路线图之外",
    "no plugin that is installed here declares these": "此处安装的插件中没有声明以下技术",
    "passed, version {version}": "通过，第 {version} 版",
    "{score:.0%}, version {version}": "{score:.0%}，第 {version} 版",
    " (graded once)": "（评判过 1 次）",
    " (graded {count} times)": "（评判过 {count} 次）",
    "the next stubs": "放入接下来的练习框架",
    "Everything that is written is passed.": "已编写的技术全部通过。",
    # list
    "begin a day": "开始一天的内容",
    "begin one technique": "开始一项技术",
    "tracks": "方向",
    # hint
    "{id} has one hole, number 1; there is no hole {hole}.": "{id} 只有第 1 个空，没有第 {hole} 个空。",
    "{id} has {count} holes, numbered 1 to {count}; there is no hole {hole}.": (
        "{id} 有 {count} 个空，编号为 1 到 {count}，没有第 {hole} 个空。"
    ),
    "{technique}, hole {number}: {title}": "{technique}，第 {number} 个空：{title}",
    "Hint {number} of {total}.": "第 {number} 条提示，共 {total} 条。",
    " There are no more for this hole.": "这个空没有更多提示了。",
    "one step further": "再进一步的提示",
    # replay, dispute
    "--pdb asks questions, and --json prints data: leave out one of the two.": (
        "--pdb 要向你提问，--json 只输出数据：请去掉其中一个。"
    ),
    "This case holds now.": "这个用例现在成立了。",
    "Nothing is graded yet: 'learn grade {name}' finds the case.": "还没有评判过：'learn grade {name}' 会找出用例。",
    "--attempt needs the --seed of a grading: 'learn grade {name}' prints it.": (
        "--attempt 需要某次评判的 --seed：'learn grade {name}' 会显示它。"
    ),
    "No property of {id} failed in that grading.": "在那次评判中，{id} 没有不满足的性质。",
    "--check goes alone: the file says what it is about.": "--check 单独使用：文件里已经写明是哪项技术。",
    "Name a technique, as in 'learn dispute ppo', or give --check FILE.": (
        "请指明一项技术，例如 'learn dispute ppo'，或者给出 --check 文件。"
    ),
    "That case holds now. 'learn grade {name}' says whether there is another one.": (
        "这个用例现在成立了。'learn grade {name}' 会说明是否还有别的用例不成立。"
    ),
    "Wrote {path}. Others check it with 'learn dispute --check {path}'.": (
        "已写入 {path}。别人可以用 'learn dispute --check {path}' 核对。"
    ),
    "{path} is there already: name another file with --out.": "{path} 已经存在：请用 --out 换一个文件名。",
    "Reproduced: this machine judges the case in the same way.": "已重现：这台机器对该用例的评判相同。",
    "Not reproduced on this machine.": "在这台机器上没有重现。",
    "{name}: {theirs} there, {ours} here": "{name}：那边是 {theirs}，这里是 {ours}",
    # reset, solution, read
    "{path} is the stub already.": "{path} 本来就是练习框架。",
    "{path} is the stub again.": "{path} 已恢复为练习框架。",
    "Your attempt is kept as {path}.": "你的作答保存为 {path}。",
    "You have not passed {id} yet. 'learn hint {name}' helps; "
    "'learn solution {name} --give-up' shows it all the same, and is recorded.": (
        "你还没有通过 {id}。'learn hint {name}' 可以帮忙；"
        "'learn solution {name} --give-up' 仍会给出参考实现，并记录在案。"
    ),
    "The lesson of {id} cannot be read: {path}: {why}.": "无法读取 {id} 的课文：{path}：{why}。",
    # grade
    "Name a technique, or give --all, not both.": "请指明一项技术，或者给出 --all，不要两者都给。",
    "--attempt goes with one technique, not with --all.": "--attempt 只能用于一项技术，不能与 --all 同用。",
    "No known mistake can be looked for: {problem}": "无法查找已知错误：{problem}",
    "Name a technique, as in 'learn grade ppo', or give --all.": (
        "请指明一项技术，例如 'learn grade ppo'，或者给出 --all。"
    ),
    "There is no workspace here. 'learn start {name}' makes one; or give --attempt FILE.": (
        "这里没有工作区。'learn start {name}' 会建一个；也可以用 --attempt FILE 指定文件。"
    ),
    "You have started nothing yet: 'learn start {day}' puts the first stubs there.": (
        "你还没有开始任何技术：'learn start {day}' 会放入最初的练习框架。"
    ),
    "grading {id} ...": "正在评判 {id} ……",
    # a verdict
    "This is what {name} does.": "这正是 {name} 的做法。",
    "Perhaps two things at once:": "也许同时有两处：",
    "A convention that others use: {name}.": "这是他人采用的约定：{name}。",
    "not started": "未开始",
    "not reached": "未轮到",
    "1 property {status}: {why}": "1 条性质{status}：{why}",
    "{count} properties {status}: {why}": "{count} 条性质{status}：{why}",
    "a hole is still empty there": "那里还有空没填",
    "something else has to hold first": "要先满足别的性质",
    "the attempt died before": "作答的进程在此之前已终止",
    "{name}:": "{name}：",
    "expected": "期望",
    "got": "实际",
    "at": "位置",
    "it printed on this case:": "它在这个用例上的输出：",
    "... and {count} more lines": "……另有 {count} 行",
    " ... ({count} more characters)": " ……（另有 {count} 个字符）",
    "Passed: all {total} properties hold.": "通过：{total} 条性质全部满足。",
    "{held} of {total} properties hold": "{total} 条性质中满足了 {held} 条",
    "Not started: every hole is still empty.": "未开始：所有的空都还没填。",
    "The attempt died; {held} of {total} properties had held": (
        "作答的进程终止了；此前 {total} 条性质中满足了 {held} 条"
    ),
    "Not gradable: not your fault; it does not count.": "无法评判：不是你的问题，不计入成绩。",
    ": score {score:.0%}.": "：得分 {score:.0%}。",
    " Still empty: {holes}.": "还空着：{holes}。",
    "hole {number} ({title})": "第 {number} 个空（{title}）",
    "Seed {seed}, {examples} examples each, {seconds:.1f} s, in {containment}.": (
        "种子 {seed}，每条性质 {examples} 个用例，用时 {seconds:.1f} 秒，运行于{containment}。"
    ),
    "a process of its own, not jailed": "独立进程，未加沙箱",
    "a jail of Landlock and seccomp": "Landlock 与 seccomp 沙箱",
    "a jail with namespaces of its own": "带独立命名空间的沙箱",
    "the reference, to compare with": "对照参考实现",
    "what comes next": "看看接下来做什么",
    "what this machine lacks": "看看这台机器缺什么",
    "that case again, alone": "单独再跑这个用例",
    "the same cases again": "用同样的用例再评判一次",
    "a hint": "提示",
    "a hint for hole {hole}": "第 {hole} 个空的提示",
    "started": "已开始",
    "passed": "通过",
    ", died": "，进程终止",
    "{mark}, of the older version {version}": "{mark}（旧的第 {version} 版）",
    "{mark}: grade it again": "{mark}：请重新评判",
    "{passed}; the latest {latest}": "{passed}；最近一次 {latest}",
    # run
    "Name a technique, as in 'learn run ppo', or give --all.": "请指明一项技术，例如 'learn run ppo'，或者给出 --all。",
    "{id} has no lab. These do: {names}.": "{id} 没有实验。有实验的是：{names}。",
    "You have no attempt at {id} here. 'learn start {name}' puts its stub there; "
    "'learn run {name} --reference' runs the lab with the reference.": (
        "这里没有你对 {id} 的作答。'learn start {name}' 会放入练习框架；"
        "'learn run {name} --reference' 用参考实现运行实验。"
    ),
    "your attempt": "你的作答",
    "the reference: you have no attempt at it": "参考实现：你还没有作答",
    "{folder} holds 9999 pictures of {name}: move some away.": "{folder} 里已有 9999 张 {name} 的图：请移走一些。",
    "{contestant}: {mark}": "{contestant}：{mark}",
    "reached": "达标",
    "missed": "未达标",
    "A quick run: it shows that the loop runs, not what it reaches.": (
        "快速运行：只说明闭环能跑通，不说明能达到什么水平。"
    ),
    "Picture: {path}": "图：{path}",
    "The labels in pictures are English, as this machine has no font with Chinese: install one "
    "(on Debian fonts-wqy-zenhei or fonts-noto-cjk).": (
        "图中的文字是英文，因为这台机器上没有中文字体：请安装一种（Debian 上为 fonts-wqy-zenhei 或 fonts-noto-cjk）。"
    ),
    "Next: {command}": "接下来：{command}",
    # quiz and brief
    "--sheet goes with --seed and --lang only.": "--sheet 只能与 --seed 和 --lang 同用。",
    "--fresh is for a quiz that is asked here; --answers begins anew by itself.": (
        "--fresh 用于在这里逐题作答的测验；--answers 本来就会重新开始。"
    ),
    "There is no quiz on {id} yet. There are quizzes on {names}.": "{id} 还没有测验。有测验的是：{names}。",
    "--json prints the data of the brief: leave out --format and --out.": (
        "--json 输出简报的数据：请去掉 --format 和 --out。"
    ),
    "{why} {file} was not written. Next: 'learn {step}'.": "{why}没有写入 {file}。接下来：'learn {step}'。",
    "{file} is the name of a {named} file, and --format says {form}: leave out one of the two.": (
        "{file} 是 {named} 文件的名字，而 --format 指定的是 {form}：请去掉其中一个。"
    ),
    "{file} does not tell its format: name a file in .md or .html, or give --format.": (
        "从 {file} 看不出格式：请用 .md 或 .html 结尾的文件名，或者给出 --format。"
    ),
    "Wrote {file}: 1 technique, {size}": "已写入 {file}：1 项技术，{size}",
    "Wrote {file}: {count} techniques, {size}": "已写入 {file}：{count} 项技术，{size}",
    "; its attempts and plots are in {folder}/": "；其中的作答和曲线图在 {folder}/",
    "{count} bytes": "{count} 字节",
    # watch
    "You have started nothing of {name}: 'learn start {name}' puts its stubs there.": (
        "{name} 里还没有开始任何技术：'learn start {name}' 会把练习框架放到那里。"
    ),
    "{id}: grading {path} ...": "{id}：正在评判 {path} ……",
    "line {line}": "第 {line} 行",
    "grading ...": "正在评判……",
    "{held} hold": "{held} 条满足",
    "Not graded: it is tried again when you save.": "没有评判：保存后会再试。",
    "n next   h hint   r lesson   q end": "n 下一条   h 提示   r 课文   q 结束",
    "Press any key to go on.": "按任意键继续。",
    # the warm judge
    "the warm judge was ended while it told or kept the verdict: grade again.": (
        "常驻评判进程在给出或保存结论时被终止：请重新评判。"
    ),
    # doctor
    "{name} is 0": "{name} 为 0",
    "only on Linux": "只在 Linux 上有",
    "no folder for its socket belongs to you alone": "没有只属于你的文件夹来放它的套接字",
    "this 'learn' is not the installed command": "这个 'learn' 不是安装的命令",
    "Each 'learn grade' imports everything anew: seconds.": "每次 'learn grade' 都要重新导入全部模块：需要数秒。",
    "it does not answer": "没有应答",
    "The next 'learn grade' starts another.": "下一次 'learn grade' 会另外启动一个。",
    "none runs; a 'learn grade' starts one, for those after it": "没有在运行；'learn grade' 会为之后的评判启动一个",
    "process {pid}, {count} gradings; it ends when none has come for {minutes} minutes": (
        "进程 {pid}，已评判 {count} 次；{minutes} 分钟没有评判就会结束"
    ),
    "{version} at {path}": "{version}，位于 {path}",
    "{version}, {count} threads": "{version}，{count} 个线程",
    "{version}; without a GPU it interprets kernels": "{version}；没有 GPU 时以解释方式运行内核",
    "not installed": "未安装",
    "Triton kernels cannot be graded here; it runs on Linux only.": "这里无法评判 Triton 内核；它只能在 Linux 上运行。",
    "none": "无",
    "Everything grades without one; kernels are interpreted, speed is not measured.": (
        "没有它也都能评判；内核以解释方式运行，不测速度。"
    ),
    "available": "可用",
    "not in this torch": "这个 torch 不带它",
    "Labs of distributed techniques cannot run here; they still grade.": "分布式技术的实验在这里无法运行，但仍可评判。",
    "pictures can be labelled in Chinese ({font})": "图中可以用中文标注（{font}）",
    "none with Chinese": "没有中文字体",
    "With --lang zh the labels in pictures are English: install fonts-wqy-zenhei or fonts-noto-cjk (Debian).": (
        "使用 --lang zh 时图中的文字仍是英文：请安装 fonts-wqy-zenhei 或 fonts-noto-cjk（Debian）。"
    ),
    "namespaces: an attempt has no network, few files, none of them writable but its own": (
        "namespaces：作答没有网络，只能看到少数文件，除自己的以外都不可写"
    ),
    "landlock: the kernel refuses an attempt other files, sockets and processes ({why})": (
        "landlock：内核拒绝作答访问其他文件、套接字和进程（{why}）"
    ),
    "Attempts cannot write files, and labs of distributed techniques can reach the network.": (
        "作答不能写文件；分布式技术的实验可以访问网络。"
    ),
    "process: own process, own session, limits on time, memory, files ({why})": (
        "process：独立进程、独立会话，限制时间、内存和文件（{why}）"
    ),
    "{name} asks for it": "由 {name} 指定",
    "An attempt can read your files and use the network: grade only code that you trust as you trust your own.": (
        "作答可以读取你的文件、使用网络：只评判你像自己的代码一样信任的代码。"
    ),
    "a process answered {answer!r} instead of 1": "进程的回答是 {answer!r}，而不是 1",
    "a process starts in {cold:.1f} s cold, {warm:.0f} ms after that": (
        "启动一个进程，首次用时 {cold:.1f} 秒，之后 {warm:.0f} 毫秒"
    ),
    "none here; 'learn start {day}' makes one": "这里没有；'learn start {day}' 会建一个",
    "{folder}, 1 grading recorded": "{folder}，记录了 1 次评判",
    "{folder}, {count} gradings recorded": "{folder}，记录了 {count} 次评判",
    "1 technique": "1 项技术",
    "{count} techniques": "{count} 项技术",
    "1 roadmap": "1 个路线图",
    "{count} roadmaps": "{count} 个路线图",
}

# What is said elsewhere and told by its wording: errors of the registry and the judge, and what a verdict recorded. The
# first wording that fits counts. A field is looked up in turn.
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
    "a call took longer than the {seconds} s it may take": "一次调用超过了允许的 {seconds} 秒",
    "the grading took longer than the {seconds} s it may take": "评判超过了允许的 {seconds} 秒",
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
    "the shards of rank {rank}": "rank {rank} 的分片",
    "the whole parameters of rank {rank}": "rank {rank} 的完整参数",
    "what rank {rank} sends before it waits (calls, bytes)": "rank {rank} 在等待之前发送的内容（调用，字节数）",
    "what rank {rank} sends {of} (calls, bytes)": "rank {rank} {of}发送的内容（调用，字节数）",
    "once {names} have come": "在 {names} 到来之后",
    "in a step of different tasks": "在任务各不相同的一步里",
    "in a step that leaves parameters unused": "在有参数没用到的一步里",
    "in a step": "在一步里",
    "a tuple of output and gradients": "由输出和梯度组成的元组",
    "the order of names in the shards of rank {rank}": "rank {rank} 的分片中名字的次序",
    "{name} in the shards of rank {rank}": "rank {rank} 的分片中的 {name}",
    "a dict of tensors, by name": "以名字为键的张量字典",
    "the bytes that shard sends in all": "shard 总共发送的字节数",
    "buckets returns no list": "buckets 返回的不是列表",
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
    "the gathered {name} on rank {rank}": "rank {rank} 上 gather 得到的 {name}",
    "the number of calls that send something, gather included,": "发送了内容的调用次数（包括 gather）",
    "the tables, blocks numbered as they first appear": "各块表（块按首次出现的顺序编号）",
    "table({sequence}), whose blocks stay where they are": "table({sequence})（其中的块不应移动）",
    "the references, one number for each block": "references（每个块一个数）",
    "appending to a shared block when no block is vacant for the copy": "没有空闲块可供复制时写入共享的块",
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
