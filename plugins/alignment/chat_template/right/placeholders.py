"""The string is written with a placeholder for each content, and cut there before anything is encoded."""

from __future__ import annotations

import re

from groundup.core.models import Tokenizer

HERE = "\x00"


class ChatTemplate:
    def __init__(
        self, tokenizer: Tokenizer, *, style: str = "chatml", default_system: str | None = None, train_end: bool = True
    ) -> None:
        self.tokenizer, self.style = tokenizer, style
        self.default_system, self.train_end = default_system, train_end

    def header(self, role: str) -> str:
        if re.fullmatch("system|user|assistant|tool", role) is None:
            raise ValueError(f"{role!r} is no role")
        forms = {"chatml": "<|im_start|>%s\n", "llama3": "<|start_header_id|>%s<|end_header_id|>\n\n"}
        return forms[self.style] % role

    def turns(self, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
        written = []
        if messages[0]["role"] != "system" and self.default_system is not None:
            written.append(("system", self.default_system))
        for message in messages:
            written.append((message["role"], message["content"]))
        if self.style != "llama3":
            return written
        return [(role, re.sub(r"^\s+|\s+\Z", "", content)) for role, content in written]

    def _form(self, messages: list[dict[str, str]], prompt: bool) -> str:
        begin, end = ("<|begin_of_text|>", "<|eot_id|>") if self.style == "llama3" else ("", "<|im_end|>\n")
        form = begin + "".join(self.header(role) + HERE + end for role, _ in self.turns(messages))
        return form + (self.header("assistant") if prompt else "")

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
        contents = iter([content for _, content in self.turns(messages)])
        return re.sub(HERE, lambda _: next(contents), self._form(messages, add_generation_prompt))

    def encode(
        self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        around = [
            self.tokenizer.encode(part, self.tokenizer.special)
            for part in self._form(messages, add_generation_prompt).split(HERE)
        ]
        ids, learnt = list(around[0]), [False] * len(around[0])
        for (role, content), behind in zip(self.turns(messages), around[1:], strict=True):
            own, words = role == "assistant", self.tokenizer.encode(content)
            ids += [*words, *behind]
            learnt += [own] * len(words) + [own and self.train_end] + [False] * (len(behind) - 1)
        return ids, learnt

    def decode(self, ids: list[int]) -> list[dict[str, str]]:
        # Special tokens get characters that no text has, and a regular expression does the rest.
        plain = len(self.tokenizer.special)
        text = "".join(chr(0xE000 + i) if i < plain else self.tokenizer.decode([i]) for i in ids)
        sign = {name: chr(0xE000 + self.tokenizer.id(name)) for name in self.tokenizer.special}
        if self.style == "llama3":
            form = sign["<|start_header_id|>"] + "(.*?)" + sign["<|end_header_id|>"] + "\n\n(.*?)" + sign["<|eot_id|>"]
        else:
            form = sign["<|im_start|>"] + "(.*?)\n(.*?)" + sign["<|im_end|>"]
        return [{"role": role, "content": content} for role, content in re.findall(form, text, flags=re.DOTALL)]
