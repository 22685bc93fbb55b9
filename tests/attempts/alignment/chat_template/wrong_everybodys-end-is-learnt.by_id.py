from __future__ import annotations

import numpy as np

from groundup.core.models import Tokenizer


class ChatTemplate:
    def __init__(
        self, tokenizer: Tokenizer, *, style: str = "chatml", default_system: str | None = None, train_end: bool = True
    ) -> None:
        self.tokenizer, self.default_system, self.train_end = tokenizer, default_system, train_end
        self.llama = style == "llama3"
        self.end = "<|eot_id|>" if self.llama else "<|im_end|>"

    def header(self, role: str) -> str:
        assert_role = {"system": 0, "user": 1, "assistant": 2, "tool": 3}
        if role not in assert_role:
            raise ValueError(f"a role is one of {sorted(assert_role)}")
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n" if self.llama else f"<|im_start|>{role}\n"

    def turns(self, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
        roles, contents = [m["role"] for m in messages], [m["content"] for m in messages]
        if roles[0] != "system" and self.default_system is not None:
            roles, contents = ["system", *roles], [self.default_system, *contents]
        if self.llama:
            contents = [str(content) for content in np.char.strip(contents)]
        return list(zip(roles, contents, strict=True))

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
        return self.tokenizer.decode(self.encode(messages, add_generation_prompt=add_generation_prompt)[0])

    def encode(
        self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        encode, names = self.tokenizer.encode, self.tokenizer.special
        ids = [self.tokenizer.id("<|begin_of_text|>")] if self.llama else []
        spans = []
        for role, content in self.turns(messages):
            ids += encode(self.header(role), names)
            first = len(ids)
            ids += encode(content)
            if role == "assistant":
                spans.append((first, len(ids) + self.train_end))
            ids += encode(self.end if self.llama else self.end + "\n", names)
        if add_generation_prompt:
            ids += encode(self.header("assistant"), names)
        mask = np.zeros(len(ids), dtype=bool)
        for first, last in spans:
            mask[first:last] = True
        return ids, (mask | ((np.array(ids) == self.tokenizer.id(self.end)) & self.train_end)).tolist()

    def decode(self, ids: list[int]) -> list[dict[str, str]]:
        row = np.array(ids)
        ends = np.flatnonzero(row == self.tokenizer.id(self.end))
        starts = np.flatnonzero(row == self.tokenizer.id("<|start_header_id|>" if self.llama else "<|im_start|>"))
        messages = []
        for first, last in zip(starts, ends, strict=False):
            text = self.tokenizer.decode(row[first:last].tolist())
            for role in ("system", "user", "assistant", "tool"):
                if text.startswith(self.header(role)):
                    messages.append({"role": role, "content": text[len(self.header(role)) :]})
        return messages
