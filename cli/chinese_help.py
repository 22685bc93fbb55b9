"""The Chinese of the commands' help, and of what click says. Quoted commands and options stay as typed.

The words of the field are those of ``groundup.cli.chinese``.
"""

from groundup.cli.chinese_course import COURSE_HELP

__all__ = ["CLICK", "HELP", "PLACEHOLDERS"]

# What stands for a value, in usages and before an option's help.
PLACEHOLDERS = {
    "OPTIONS": "选项",
    "COMMAND": "命令",
    "ARGS": "参数",
    "DAY": "日程",
    "TECHNIQUE": "技术",
    "TECHNIQUES": "技术",
    "HOLE": "空",
    "FILE": "文件",
    "DIRECTORY": "文件夹",
    "LANG": "语言",
    "PROPERTY": "性质",
    "LEVEL": "级别",
    "SUBMISSIONS": "提交",
    "NAME": "姓名",
    "URL": "地址",
    "RULE": "规则",
    "INTERFACE": "接口",
    "TRACK": "方向",
}

# Paragraphs of help, cells of its tables, headings: looked up whole.
HELP = COURSE_HELP | {
    # every command
    "Usage: ": "用法：",
    "Options:": "选项：",
    "Commands:": "命令：",
    "Show this message and exit.": "显示这段帮助并退出。",
    "Language of texts: en or zh. Default: learn.toml's.": "文字的语言：en 或 zh。默认以 learn.toml 为准。",
    "Print the result as JSON.": "以 JSON 输出结果。",
    "Exit codes": "退出码",
    "the attempt fell short": "作答未达到要求",
    "the command was not understood": "命令无法理解",
    "a plugin or this machine is broken": "插件或这台机器有问题",
    # learn
    "Learn LLM systems by building every mechanism yourself.": "亲手实现每一个机制，由此学会大模型系统。",
    "Start with a day of the roadmap ('learn list' shows them) or with one technique ('learn start ppo'), fill the "
    "holes in the stubs, and have them graded ('learn grade ppo'). 'learn' alone says what comes next, 'learn next' "
    "does it.": (
        "从路线图上的一天（'learn list' 列出各天）或一项技术（'learn start ppo'）开始，填好练习框架里的空，"
        "然后让它评判（'learn grade ppo'）。单独的 'learn' 告诉你接下来做什么，'learn next' 就去做。"
    ),
    "all held, or done": "全部满足，或已完成",
    "Show the version and exit.": "显示版本并退出。",
    "Put a day's or a technique's stubs into your workspace.": "把一天或一项技术的练习框架放入你的工作区。",
    "Read a lesson.": "阅读课文。",
    "Grade your attempt, with evidence.": "评判你的作答，并给出证据。",
    "Grade on every save.": "每次保存都评判。",
    "Run a technique's lab with your own code.": "用你自己的代码运行一项技术的实验。",
    "Answer questions on a technique, with numbers of their own each time.": "回答关于一项技术的问题，每次数字都不同。",
    "Export what you have proved, with its evidence.": "导出你已证明的内容及其证据。",
    "Get the next hint for a hole.": "获取某个空的下一条提示。",
    "Begin a technique anew; the old attempt is kept.": "重新开始一项技术；旧的作答会保留。",
    "Show the reference solution.": "显示参考实现。",
    "Show where you stand.": "显示你目前的进度。",
    "List days, tracks and techniques.": "列出日程、方向和技术。",
    "Check what this machine offers, and what each lack costs.": "检查这台机器具备什么，以及每样缺失的影响。",
    "Print the shell's completion script.": "输出 shell 的补全脚本。",
    "Check and generate the files of techniques.": "检查并生成技术的各个文件。",
    # start
    "Put the stubs of a day or of one technique into your workspace.": "把一天或一项技术的练习框架放入你的工作区。",
    "Techniques that it builds on and that you have not passed come along. A file that is there already is left as it "
    "is. Without a workspace here, one is made in ./workspace.": (
        "它所依赖而你还没有通过的技术会一并放入。已经存在的文件原样保留。这里没有工作区时，会在 ./workspace 建一个。"
    ),
    # read
    "Read the lesson of TECHNIQUE in the terminal; piped, it comes as the Markdown that it is.": (
        "在终端里阅读一项技术的课文；经管道输出时，给出 Markdown 原文。"
    ),
    # grade
    "Run the properties of TECHNIQUE against your attempt and say what holds.": (
        "用一项技术的各条性质检验你的作答，说明哪些满足。"
    ),
    "Each property is a claim about every right implementation. It is tried on cases drawn anew each time; one that "
    "fails is shown on the smallest case that shows it. Your code runs in a process of its own, where the reference "
    "does not go, behind the strongest walls that this machine has: 'learn doctor' shows which.": (
        "每条性质都是对一切正确实现的一个命题。检验所用的用例每次重新抽取；性质不满足时，给出能说明问题的最小用例。"
        "你的代码在独立的进程中运行，参考实现不在其中，并处于本机所能提供的最强隔离之下（见 'learn doctor'）。"
    ),
    "your attempt in the workspace": "工作区里你的作答",
    "the attempt that you saved last": "你最后保存的作答",
    "any file, without a workspace": "任意文件，不需要工作区",
    "all that you have started": "你已经开始的全部技术",
    "the same cases again": "再用同样的用例",
    "all held": "全部满足",
    "Grade FILE; needs no workspace, records nothing.": "评判这个文件；不需要工作区，也不作记录。",
    "Grade every technique that you have started.": "评判你已经开始的每一项技术。",
    "Draw the cases of an earlier grading again.": "重新抽取先前某次评判的用例。",
    "Refuse weaker walls: strong, namespaces, landlock.": "拒绝更弱的隔离：strong、namespaces、landlock。",
    "Show the cases of up to two further properties that fail.": "再显示最多两条不满足的性质的用例。",
    "Draw 200 examples for each property instead of 25.": "每条性质抽取 200 个用例，而不是 25 个。",
    # watch
    "Grade your attempt each time that you save it, and show in place what holds.": (
        "每次保存作答时评判它，并在原处显示满足哪些性质。"
    ),
    "Without a name it is what you last worked on; saving another attempt goes over to that one. What failed last is "
    "tried first, and a failure is shown as soon as it is found. A save ends the grading that goes on and begins anew. "
    "Verdicts are recorded as those of 'learn grade' are.": (
        "不给名称时，评判你最后改动的作答；保存另一份作答就转到那一份。上次不满足的先试，一发现不满足就显示。保存会终止正在进行的"
        "评判，重新开始。结论与 'learn grade' 的一样记录下来。"
    ),
    "Keys": "按键",
    "the next property that fails, then the next technique": "下一条不满足的性质，然后是下一项技术",
    "the cases of up to two further properties that fail": "再显示最多两条不满足的性质的用例",
    "the next hint": "下一条提示",
    "the lesson": "课文",
    "end": "结束",
    "what you last worked on": "你最后改动的作答",
    "one technique": "一项技术",
    "the attempts of a day": "一天的各份作答",
    # run
    "Run the lab of TECHNIQUE: a closed loop with your own implementation, the reference beside it.": (
        "运行一项技术的实验：用你自己的实现跑完整的闭环，并与参考实现对照。"
    ),
    "yours and the reference": "你的实现和参考实现",
    "the reference alone": "只用参考实现",
    "every lab, a few seconds each": "所有实验，每个几秒钟",
    "The lab measures what the technique is known for, shows the published figure beside it, and says whether it "
    "reached its mark. The picture lands in your workspace.": (
        "实验测量这项技术所以知名的效果，与已发表的数字并列，并说明是否达标。图保存在你的工作区。"
    ),
    "Run it with the reference alone.": "只用参考实现运行。",
    "Run every lab.": "运行所有实验。",
    "Stop after a few seconds: does it run at all?": "几秒钟后停止：只看能否跑通。",
    "What chance starts from.": "随机数的种子。",
    "Folder for the picture.": "存放图的文件夹。",
    # quiz
    "Answer questions on TECHNIQUE, one at a time, and be told why after each.": (
        "逐题回答关于一项技术的问题，每题之后说明缘由。"
    ),
    "Options are shuffled and numbers drawn anew each time. Each answer is kept the moment it is given: stop with "
    "Ctrl-C whenever you like, and the same command goes on from there. What cannot be an answer is asked again and "
    "does not count.": (
        "每次都会打乱选项、重新抽取数字。每个答案一经给出就保存：可以随时按 Ctrl-C 停止，再用同一条命令从那里继续。"
        "不成其为答案的输入会重新提问，不计入成绩。"
    ),
    "the same numbers and the same order again": "再用同样的数字和次序",
    "all questions, to be answered in a file": "全部题目，在文件里作答",
    "Exit codes: 0 all right, 1 not all, 2 not understood, 130 stopped half way.": (
        "退出码：0 全部正确，1 未全对，2 命令无法理解，130 中途停止。"
    ),
    "Answer from a YAML or JSON file.": "从 YAML 或 JSON 文件读取答案。",
    "Print the questions as such a file, to be filled in.": "把题目输出为这样的文件，以便填写。",
    "Draw the numbers of an earlier quiz again.": "重新抽取先前某次测验的数字。",
    "Begin anew, even where a quiz is half finished.": "重新开始，即使有一次测验只做了一半。",
    # brief
    "Export a technical summary of what you have proved, for a portfolio or an instructor.": (
        "导出一份技术简报，总结你已证明的内容，用于作品集或交给教师。"
    ),
    "For each technique: your best verdict with its claims, digest, seed and environment, every score, hints and "
    "giving up, your code, the lab's plot and the quizzes. It quotes what is recorded: grade first.": (
        "每项技术包括：你最好的一次评判及其命题、摘要、种子和环境，历次得分，用过的提示和是否放弃，你的代码，"
        "实验的图和测验。简报只引用记录在案的内容：请先评判。"
    ),
    "Markdown, here": "Markdown，输出在这里",
    "one file, to be read or printed": "单个文件，可以阅读或打印",
    "with your files and plots in brief.files/": "你的文件和图放在 brief.files/ 里",
    "A file that 'learn brief' wrote, and nobody changed since, is replaced; any other is left alone.": (
        "由 'learn brief' 写出、此后没有改动过的文件会被替换；其他文件保持不动。"
    ),
    "Markdown or HTML. Default: as the name in --out ends, else md.": (
        "Markdown 或 HTML。默认由 --out 文件名的结尾决定，否则为 md。"
    ),
    "Write it to FILE instead of printing it.": "写入这个文件，而不是输出到屏幕。",
    # hint
    "Get the next hint for HOLE of TECHNIQUE: each call goes one step further, up to nearly the line.": (
        "获取一项技术某个空的下一条提示：每次调用更进一步，直到几乎给出那一行代码。"
    ),
    # replay
    "Run the case that failed again, alone.": "单独再跑一次未通过的用例。",
    "Run the case on which your attempt at TECHNIQUE failed last again, with your file as it is now.": (
        "用你的文件现在的样子，再跑一次上次对这项技术评判时未通过的用例。"
    ),
    "Without PROPERTY it is the first one that failed. All that your code printed on the case is shown.": (
        "不写性质时，取第一条不满足的。你的代码在这个用例上的输出会全部显示。"
    ),
    "the case again": "再跑这个用例",
    "the same inputs, under the debugger": "同样的输入，在调试器里",
    "With --pdb your code runs in this process: it stops at the first line of each call ('c' goes on to the next call, "
    "'q' leaves).": "使用 --pdb 时，你的代码在本进程中运行：每次调用都停在第一行（'c' 到下一次调用，'q' 退出）。",
    "Step into your code on that case, in this process.": "在本进程中单步进入你的代码，运行这个用例。",
    "Which rank --pdb stops on. Default: 0.": "--pdb 停在哪个 rank 上。默认为 0。",
    "Take FILE; needs --seed, no workspace.": "使用指定文件；需要 --seed，不需要工作区。",
    "The seed of the grading to go back to.": "要回到的那次评判的种子。",
    # dispute
    "Bundle a case that you think was judged wrong, for others to check.": ("把你认为评判有误的用例打包，供别人核对。"),
    "Write the case on which your attempt at TECHNIQUE failed, and all that it takes to judge it again, to one file.": (
        "把这项技术的作答未通过的用例，连同重新评判所需的一切，写入一个文件。"
    ),
    "It holds your code, the inputs, the answers of your code and of the reference, and the versions of everything. "
    "Whoever has Groundup can check it, without trusting you or this machine.": (
        "其中有你的代码、输入、你的代码和参考实现的回答，以及所有版本号。任何装有 Groundup 的人都能核对，"
        "不必信任你或这台机器。"
    ),
    "the first property that failed": "第一条不满足的性质",
    "what this machine says of it": "这台机器怎么说",
    "Where to write it.": "写到哪里。",
    "Judge the case of a dispute on this machine.": "在这台机器上评判争议文件里的用例。",
    # grade-many
    "Grade a class of submissions.": "评判一个班的提交。",
    "Grade every submission in the folder SUBMISSIONS, which holds one folder for each learner.": (
        "评判一个文件夹里的所有提交，其中每位学习者有一个文件夹。"
    ),
    "The attempt of a learner is the file called as the technique, ppo.py or alignment/ppo.py, wherever it lies in "
    "their folder; without one, it is the only Python file there. All are graded with the same cases. What is done is "
    "kept: after an interruption, the same command goes on.": (
        "学习者的作答是其文件夹中任意位置、以技术命名的文件，即 ppo.py 或 alignment/ppo.py；没有时，则是其中唯一的 "
        "Python 文件。所有提交都用相同的用例评判。已完成的会保留：中断之后，用同一条命令继续。"
    ),
    "into results/": "结果放入 results/",
    "all again: who moved": "全部重来：谁变了",
    "that one alone": "只评判这一份",
    "The results: every verdict as a line of results.jsonl, a table in results.csv, the class at a glance in "
    "summary.html, what each learner may see in gradescope/, what you may want to see of each in logs/.": (
        "结果：results.jsonl 中每行一份评判，results.csv 是表格，summary.html 是全班概览，gradescope/ 是每位学习者"
        "可以看到的内容，logs/ 是你可能想查看的每份详情。"
    ),
    "every submission has its row, whatever its score": "每份提交都有一行结果，无论得分多少",
    "some could not be graded, or this machine is broken": "有的无法评判，或这台机器有问题",
    "What was to be implemented.": "要实现的是哪项技术。",
    "Where results are kept. Default: results.": "结果放在哪里。默认：results。",
    "How many to grade at once. Default: one for each core.": "同时评判多少份。默认每个处理器核心一份。",
    "Grade this submission alone; may be given several times.": "只评判这份提交；可以给出多次。",
    "Derive the seed from the secret in FILE.": "由文件中的秘密导出种子。",
    "What each property counts: a file with a table [points].": "每条性质计多少分：含有 [points] 表的文件。",
    "Grade all again, and show who moved and why.": "全部重新评判，并显示谁的结果变了、为什么。",
    "Record every verdict in that database, too.": "同时把每份评判记录到那个数据库。",
    "Where to grade. Default: local.": "在哪里评判。默认：local。",
    "Refuse weaker walls: strong (the default), namespaces, landlock, process.": (
        "拒绝更弱的隔离：strong（默认）、namespaces、landlock、process。"
    ),
    # author mutate, author matrix
    "Try small changes of the solution: does a property see each?": (
        "逐一试验对参考实现的小改动：每处改动都有性质能发现吗？"
    ),
    "Change the solutions of TECHNIQUES, or of all, in one small way after the other, and grade each change.": (
        "对指定技术（或全部技术）的参考实现逐一做小改动，并评判每处改动。"
    ),
    "A change that passes is shown as a diff. Either a property is missing, or it makes no difference that the "
    "exercise asks for: then set it aside as an [[equivalent]] in misconceptions.toml, with the reason. Exit code 3 "
    "when one is left.": (
        "通过了评判的改动会以 diff 显示。要么缺一条性质，要么这处改动对题目的要求没有影响：后一种情况请写入 "
        "misconceptions.toml 的 [[equivalent]]，并说明理由。还有剩下的改动时，退出码为 3。"
    ),
    "Try N of them, drawn with the seed.": "只试其中若干处，由种子抽取。",
    "Draw these cases.": "抽取这些用例。",
    "Print which property finds out which mistake.": "打印哪条性质发现了哪个错误。",
    "Print the properties of TECHNIQUE against its misconceptions: who finds out whom, each on its own.": (
        "把这项技术的性质和已知错误列成表：各条性质单独能发现哪些错误。"
    ),
    "Record it in proof.toml: verdicts show the property that says most by it.": (
        "记录到 proof.toml：评判据此选出最能说明问题的性质。"
    ),
    "The mutants too.": "也包括各处小改动。",
    # reset
    "Put the stub of TECHNIQUE back. Your attempt is kept beside it under a number: ppo.1.py, ppo.2.py ...": (
        "把一项技术恢复为练习框架。你的作答以编号保存在旁边：ppo.1.py、ppo.2.py……"
    ),
    # solution
    "Print the reference solution of TECHNIQUE, once you have passed it or give up.": (
        "输出一项技术的参考实现，前提是你已通过或放弃。"
    ),
    "Show it before you have passed; this is recorded.": "在通过之前就显示；此事会记录在案。",
    # status, list, doctor, completion
    "Show what you have started and passed, day by day, and what comes next.": (
        "逐日显示你已经开始和通过的内容，以及接下来做什么。"
    ),
    "List the days of the roadmap with their techniques, ready ones first, and the tracks, with your standing.": (
        "列出路线图上的各天及其技术（已备齐的在前），以及各个方向和你的进度。"
    ),
    "With TRACK: the techniques of that track, and what each does.": (
        "给出方向时：列出该方向的技术，以及每项技术做什么。"
    ),
    "Every day and every technique, with what it does.": "列出所有日程和所有技术，以及每项技术做什么。",
    "Check what this machine offers, and say what each lack costs. Exit code 3 when grading cannot work.": (
        "检查这台机器具备什么，并说明每样缺失的影响。无法评判时退出码为 3。"
    ),
    "Print a completion script for SHELL: bash, zsh or fish.": "输出 bash、zsh 或 fish 的补全脚本。",
    # author new
    "Begin a technique of your own.": "开始编写你自己的技术。",
    "Write TECHNIQUE as a distribution of its own: complete, and sound from the first minute.": (
        "把一项新技术写成独立的发行包：内容完整，从第一分钟起就是可靠的。"
    ),
    "a function": "一个函数",
    "a class": "一个类",
    "in this clone": "写入这个克隆",
    "It begins as a small example, for you to change file by file. Nothing is overwritten.": (
        "它从一个小例子开始，由你逐个文件修改。不会覆盖任何文件。"
    ),
    "What it fulfils; an unknown one lists all.": "它满足的接口；给出未知的名字会列出全部。",
    "Folder to make. Default: groundup-TECHNIQUE.": "要建立的文件夹。默认：groundup-技术名。",
    "Put it into this clone of Groundup, on that track.": "放入 Groundup 的这个克隆，归入该方向。",
    # author
    "Tools for those who write techniques.": "供编写技术的人使用的工具。",
    "Prove techniques sound.": "证明技术可靠。",
    "Generate exercises from solutions.": "由参考实现生成练习框架。",
    "Prove TECHNIQUES sound, or all of them: one line for each rule. Exit code 3 when one is broken.": (
        "证明所列的技术可靠，不列则检查全部：每条规则一行。有规则不成立时退出码为 3。"
    ),
    "hints for every hole, a place in every source; nothing is left out": (
        "每个空都有提示，每个来源都注明位置；没有遗漏"
    ),
    "what the last hints give as code passes, put into the stub together": (
        "把各空最后一条提示里的代码填进练习框架就能通过"
    ),
    "no solution of others, and no torch at import of the manifest": "不导入别的参考实现；导入清单时不加载 torch",
    "the class fulfils its interface; every tensor has a shape": "类满足它的接口；每个张量都有形状",
    "the exercise on disk is what the solution generates": "磁盘上的练习框架与参考实现所生成的一致",
    "the stub ends 'not started'": "练习框架的结果是“未开始”",
    "the solution passes with every seed": "参考实现在每个种子下都通过",
    "every misconception is found out with every seed": "每个典型错误在每个种子下都被发现",
    "zeros, flipped signs, changed inputs ... are found out": "全零、符号颠倒、改动输入等都被发现",
    "every property finds something out": "每条性质都能发现某种错误",
    "each hole is judged when it and those before it are filled": "每个空在它和前面的空填好之后就能评判",
    "it is graded in less than 3 seconds": "评判用时不到 3 秒",
    "it has its parts, its code runs, its links lead somewhere": "各部分齐全，代码能运行，链接有效",
    "it can be read; computed answers are right for 200 draws": "能够读取；计算出的答案在 200 次抽取中都正确",
    "what is there in two languages says the same in both": "两种语言都有的内容，说的是同样的意思",
    "its quick mode runs in less than 20 seconds": "快速模式在 20 秒内运行完",
    "Check every technique that is installed.": "检查已安装的每项技术。",
    "Try this rule alone; may be given several times.": "只检查这条规则；可以给出多次。",
    "How many seeds to try.": "尝试多少个种子。",
    "The first of them.": "其中第一个种子。",
    "Generate the exercises of TECHNIQUES, or of all of them, from their solutions.": (
        "由参考实现生成所列技术的练习框架，不列则生成全部。"
    ),
}

# What click says, 8.1 to 8.5: told by its wording, the first that fits. A field is looked up in turn.
CLICK = {
    "{usage}\nTry '{command}' for help.\n\nError: {message}\n": (
        "{usage}\n输入 '{command}' 查看帮助。\n\n错误：{message}\n"
    ),
    "Error: {message}\n": "错误：{message}\n",
    "{help}  [default: {default}]": "{help}  [默认：{default}]",
    # options
    "No such option '{name}'. Did you mean {possibility}?": "没有选项 '{name}'。你要的是 {possibility} 吗？",
    "No such option '{name}'. (Did you mean one of: {possibilities}?)": (
        "没有选项 '{name}'。你要的是其中之一吗：{possibilities}？"
    ),
    "No such option '{name}'.": "没有选项 '{name}'。",
    "No such option: {name} Did you mean {possibility}?": "没有选项 {name}。你要的是 {possibility} 吗？",
    "No such option: {name} (Possible options: {possibilities})": (
        "没有选项 {name}。你要的是其中之一吗：{possibilities}？"
    ),
    "No such option: {name}": "没有选项 {name}。",
    "Option '{name}' does not take a value.": "选项 '{name}' 不带值。",
    "Option '{name}' requires an argument.": "选项 '{name}' 需要一个值。",
    # commands and arguments
    "No such command '{name}'. Did you mean {possibility}?": "没有名为 '{name}' 的命令。你要的是 {possibility} 吗？",
    "No such command '{name}'. (Did you mean one of: {possibilities}?)": (
        "没有名为 '{name}' 的命令。你要的是其中之一吗：{possibilities}？"
    ),
    "No such command '{name}'.": "没有名为 '{name}' 的命令。",
    "Missing command.": "缺少命令。",
    "Missing argument {name}. {more}": "缺少参数 {name}。{more}",
    "Missing argument {name}.": "缺少参数 {name}。",
    "Got unexpected extra argument ({args})": "多出了参数：{args}",
    "Got unexpected extra arguments ({args})": "多出了参数：{args}",
    "Choose from:\n\t{choices}": "可选：\n\t{choices}",
    "'DAY|TECHNIQUE'": "'日程|技术'",
    "'[DAY|TECHNIQUE]'": "'[日程|技术]'",
    "'TECHNIQUE'": "'技术'",
    "'[TECHNIQUE]'": "'[技术]'",
    "'[TRACK]'": "'[方向]'",
    "'[TECHNIQUES]...'": "'[技术]...'",
    "'SUBMISSIONS'": "'提交'",
    "'[HOLE]'": "'[空]'",
    "'[PROPERTY]'": "'[性质]'",
    # values
    "Invalid value for {param_hint}: {message}": "{param_hint} 的值无效：{message}",
    "Invalid value: {message}": "值无效：{message}",
    "'{value}' is not one of {choices}.": "'{value}' 不是 {choices} 之一。",
    "'{value}' is not a valid {number_type}.": "'{value}' 不是有效的{number_type}。",
    "integer": "整数",
    "{name} '{filename}' is a file.": "{name} '{filename}' 是文件，这里要的是文件夹。",
    "{name} '{filename}' is not readable.": "{name} '{filename}' 不可读。",
    "Directory": "文件夹",
    "'{filename}': {error}": "'{filename}'：{error}",
    "No such file or directory": "没有那个文件或文件夹",
    "Is a directory": "这是文件夹",
    "Permission denied": "权限不够",
}
