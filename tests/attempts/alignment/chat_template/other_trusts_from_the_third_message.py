from __future__ import annotations

from itertools import chain, groupby

from groundup.core.models import Tokenizer

TABLE = {
    "chatml": {"begin": "", "header": "<|im_start|>{}\n", "end": "<|im_end|>", "after": "\n"},
    "llama3": {
        "begin": "<|begin_of_text|>",
        "header": "<|start_header_id|>{}<|end_header_id|>\n\n",
        "end": "<|eot_id|>",
        "after": "",
    },
}


class ChatTemplate:
    def __init__(
        self, tokenizer: Tokenizer, *, style: str = "chatml", default_system: str | None = None, train_end: bool = True
    ) -> None:
        self.words, self.table, self.trims = tokenizer, TABLE[style], style == "llama3"
        self.default, self.train_end = default_system, train_end

    def header(self, role: str) -> str:
        if role in ("system", "user", "assistant", "tool"):
            return self.table["header"].format(role)
        raise ValueError("unknown role")

    def turns(self, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
        pairs = [tuple(map(message.get, ("role", "content"))) for message in messages]
        if pairs[0][0] != "system" and self.default is not None:
            pairs.insert(0, ("system", self.default))
        return [(str(role), str(content).strip() if self.trims else str(content)) for role, content in pairs]

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
        body = "{}{}{end}{after}"
        written = [body.format(self.header(r), "{}", **self.table).replace("{}", c, 1) for r, c in self.turns(messages)]
        return "".join([self.table["begin"], *written, *[self.header("assistant")] * add_generation_prompt])

    def _template(self, text: str) -> list[int]:
        return self.words.encode(text, self.words.special)

    def encode(
        self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        spans = [(self._template(self.table["begin"]), False)]
        for at, (role, content) in enumerate(self.turns(messages)):
            own = role == "assistant"
            spans += [(self._template(self.header(role)), False), (self.words.encode(content, self.words.special if at > 1 else ()), own)]
            spans += [(self._template(self.table["end"]), own and self.train_end)]
            spans += [(self._template(self.table["after"]), False)]
        if add_generation_prompt:
            spans.append((self._template(self.header("assistant")), False))
        ids = list(chain.from_iterable(span for span, _ in spans))
        return ids, list(chain.from_iterable([own] * len(span) for span, own in spans))

    def decode(self, ids: list[int]) -> list[dict[str, str]]:
        end, start = self._template(self.table["end"])[0], self._template(self.header("user"))[0]
        runs = [list(run) for is_end, run in groupby(ids, lambda number: number == end) if not is_end]
        if ids and ids[-1] != end:
            runs.pop()  # not ended
        gap = self.table["header"].format("|||").split("|||")[1]
        pairs = [self.words.decode(run[run.index(start) + 1 :]).split(gap, 1) for run in runs]
        return [{"role": role, "content": content} for role, content in pairs]
