"""The Chinese of what the commands print. Both languages have the same fields in braces; quoted commands stay as typed.

The words of the field: 技术 technique, 性质 property, 命题 claim, 作答 attempt, 空 hole, 练习框架 stub, 参考实现
reference, 评判 grading, 课文 lesson, 工作区 workspace.
"""

from groundup.cli.chinese_course import COURSE

__all__ = ["SENTENCES"]

# What the commands say themselves: every text that is given to ``tr``.
SENTENCES = COURSE | {
    # several commands
    "Next": "接下来",
    ", ": "、",
    ".": "。",
    " and ": " 和 ",
    "the lesson": "课文",
    "what holds": "看看满足哪些性质",
    "what holds of your attempt": "看看你的作答满足哪些性质",
    "not written yet": "尚未编写",
    "broken": "已损坏",
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
    "No command {name!r}. Did you mean '{command}'?": "没有名为 {name!r} 的命令。你要的是 '{command}' 吗？",
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
    "Everything that is written is passed.": "已编写的技术全部通过。",
    # list
    "begin a day": "开始一天的内容",
    "tracks": "方向",
    "roadmaps": "路线图",
    "other roadmaps": "其他路线图",
    "{name} ({standing})": "{name}（{standing}）",
    "{written}; not written yet: {names}": "{written}；尚未编写：{names}",
    "the techniques of a track": "一个方向上的各项技术",
    "every day and every technique": "所有日程和所有技术",
    "TRACK names one track, --all shows them all: leave out one of the two.": (
        "方向参数只看一个方向，--all 列出全部：请去掉其中一个。"
    ),
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
    "Name the technique too, as in 'learn grade ppo --attempt {file}'.": (
        "请同时指明技术，例如 'learn grade ppo --attempt {file}'。"
    ),
    "{path} is no attempt here. 'learn grade TECHNIQUE --attempt FILE' grades any file.": (
        "{path} 不是你工作区里的作答。'learn grade TECHNIQUE --attempt FILE' 可以评判任何文件。"
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
    "Not every known mistake was compared with this attempt: the time for it was up.": (
        "未能与所有已知错误逐一比较：时间已用完。"
    ),
    "Perhaps two things at once:": "也许同时有两处：",
    "Perhaps one of these, or both:": "也许是其中一处，也许两处都是：",
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
    " Hole {number} of {total} holds.": "{total} 个空中，到第 {number} 个为止都成立。",
    " Next: hole {number}, {title}.": "接下来：第 {number} 个空（{title}）。",
    "Seed {seed}, {examples} examples each, {seconds:.1f} s, in {containment}.": (
        "种子 {seed}，每条性质 {examples} 个用例，用时 {seconds:.1f} 秒，运行于{containment}。"
    ),
    "a process of its own, not jailed": "独立进程，未加沙箱",
    "a jail of Landlock and seccomp": "Landlock 与 seccomp 沙箱",
    "a jail with namespaces of its own": "带独立命名空间的沙箱",
    "the reference, to compare with": "对照参考实现",
    "what this machine lacks": "看看这台机器缺什么",
    "that case again, alone": "单独再跑这个用例",
    "the same cases again": "用同样的用例再评判一次",
    "a hint": "提示",
    "a hint for hole {hole}": "第 {hole} 个空的提示",
    "started": "已开始",
    "passed": "通过",
    ", died": "，进程终止",
    "{mark}, of the older version {version}": "{mark}（旧的第 {version} 版）",
    "graded against version {version}; what changed: {changes}": "按第 {version} 版评判；此后的变化：{changes}",
    "The verdict before this one was {changes}": "上一次结果{changes}",
    "{mark}: grade it again": "{mark}：请重新评判",
    "{passed}; the latest {latest}": "{passed}；最近一次 {latest}",
    # run
    "{name}: {done:.0%}, about {seconds:.0f} s left": "{name}：{done:.0%}，大约还需 {seconds:.0f} 秒",
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
    "n next   c cases   h hint   r lesson   q end": "n 下一条   c 用例   h 提示   r 课文   q 结束",
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
