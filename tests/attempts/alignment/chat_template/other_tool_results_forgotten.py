from __future__ import annotations

import io

from groundup.core.models import Tokenizer


class ChatTemplate:
    def __init__(
        self, tokenizer: Tokenizer, *, style: str = "chatml", default_system: str | None = None, train_end: bool = True
    ) -> None:
        self.tokenizer, self.style = tokenizer, style
        self.default_system, self.train_end = default_system, train_end
        self.end = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>"}[style]

    def header(self, role: str) -> str:
        if not any(role == known for known in ("system", "user", "assistant", "tool")):
            raise ValueError("no such role: " + role)
        out = io.StringIO()
        out.write("<|im_start|>" if self.style == "chatml" else "<|start_header_id|>")
        out.write(role)
        out.write("\n" if self.style == "chatml" else "<|end_header_id|>\n\n")
        return out.getvalue()

    def turns(self, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
        out = []
        for at, message in enumerate(messages):
            if at == 0 and message["role"] != "system" and self.default_system is not None:
                out.append(("system", self.default_system))
            out.append((message["role"], message["content"]))
        for at, (role, content) in enumerate(out):
            if self.style == "llama3":
                out[at] = role, content.lstrip().rstrip()
        return out

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
        out = io.StringIO()
        if self.style == "llama3":
            out.write("<|begin_of_text|>")
        for role, content in self.turns(messages):
            for part in (self.header(role), content, self.end, "\n" if self.style == "chatml" else ""):
                out.write(part)
        if add_generation_prompt:
            out.write(self.header("assistant"))
        return out.getvalue()

    def encode(
        self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        learnt: list[bool] = []

        def put(numbers: list[int], *, own: bool = False) -> None:
            for number in numbers:
                ids.append(number)
                learnt.append(own)

        if self.style == "llama3":
            put([self.tokenizer.id("<|begin_of_text|>")])
        for role, content in self.turns(messages):
            put(self.tokenizer.encode(self.header(role), allowed_special=self.tokenizer.special))
            for character in content:
                put(self.tokenizer.encode(character), own=role == "assistant")
            put([self.tokenizer.id(self.end)], own=role == "assistant" and self.train_end)
            if self.style == "chatml":
                put(self.tokenizer.encode("\n"))
        if add_generation_prompt:
            put(self.tokenizer.encode(self.header("assistant"), allowed_special=self.tokenizer.special))
        return ids, learnt

    def decode(self, ids: list[int]) -> list[dict[str, str]]:
        opened = self.tokenizer.id("<|im_start|>" if self.style == "chatml" else "<|start_header_id|>")
        closed = self.tokenizer.id("<|end_header_id|>") if self.style == "llama3" else self.tokenizer.encode("\n")[0]
        state, role, content, out = "outside", "", "", []
        for number in ids:
            if number == opened:
                state, role, content = "role", "", ""
            elif state == "role" and number == closed:
                state = "content"
            elif state == "content" and number == self.tokenizer.id(self.end):
                if role != "tool":
                    out.append({"role": role, "content": content[2:] if self.style == "llama3" else content})
                state = "outside"
            elif state == "role":
                role += self.tokenizer.decode([number])
            elif state == "content":
                content += self.tokenizer.decode([number])
        return out
