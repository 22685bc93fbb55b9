from __future__ import annotations

from groundup.core.models import Tokenizer


class ChatTemplate:
    def __init__(
        self, tokenizer: Tokenizer, *, style: str = "chatml", default_system: str | None = None, train_end: bool = True
    ) -> None:
        self.tokenizer, self.style = tokenizer, style
        self.default_system, self.train_end = default_system, train_end

    def header(self, role: str) -> str:
        match self.style, role:
            case "chatml", "system" | "user" | "assistant" | "tool":
                return "<|im_start|>" + role + "\n"
            case "llama3", "system" | "user" | "assistant" | "tool":
                return "<|start_header_id|>" + role + "<|end_header_id|>" + 2 * "\n"
        raise ValueError(role)

    def turns(self, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
        *earlier, last = messages
        content = last["content"].strip() if self.style == "llama3" else last["content"]
        if earlier:
            before = self.turns(earlier)
            if before[-1][0] == last["role"]:
                return [*before[:-1], (last["role"], before[-1][1] + "\n" + content)]
            return [*before, (last["role"], content)]
        if last["role"] == "system" or self.default_system is None:
            return [(last["role"], content)]
        return [*self.turns([{"role": "system", "content": self.default_system}]), (last["role"], content)]

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
        def written(turns: list[tuple[str, str]]) -> str:
            if not turns:
                return "<|begin_of_text|>" if self.style == "llama3" else ""
            role, content = turns[-1]
            tail = "<|eot_id|>" if self.style == "llama3" else "<|im_end|>\n"
            return written(turns[:-1]) + self.header(role) + content + tail

        return written(self.turns(messages)) + self.header("assistant") * add_generation_prompt

    def encode(
        self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        words = self.tokenizer

        def row(turns: list[tuple[str, str]]) -> list[tuple[int, bool]]:
            if not turns:
                return [(words.id("<|begin_of_text|>"), False)] if self.style == "llama3" else []
            role, content = turns[-1]
            mine = role == "assistant"
            header = [(number, False) for number in words.encode(self.header(role), words.special)]
            inner = [(number, mine) for number in words.encode(content)]
            if self.style == "llama3":
                tail = [(words.id("<|eot_id|>"), mine and self.train_end)]
            else:
                tail = [(words.id("<|im_end|>"), mine and self.train_end), (words.encode("\n")[0], False)]
            return row(turns[:-1]) + header + inner + tail

        pairs = row(self.turns(messages))
        if add_generation_prompt:
            pairs += [(number, False) for number in words.encode(self.header("assistant"), words.special)]
        return [number for number, _ in pairs], [own for _, own in pairs]

    def decode(self, ids: list[int]) -> list[dict[str, str]]:
        llama = self.style == "llama3"
        end = self.tokenizer.id("<|eot_id|>" if llama else "<|im_end|>")
        start = self.tokenizer.id("<|start_header_id|>" if llama else "<|im_start|>")
        if end not in ids:
            return []
        at = ids.index(end)
        text = self.tokenizer.decode(ids[ids.index(start) + 1 : at])
        role, content = text.split("<|end_header_id|>\n\n" if llama else "\n", maxsplit=1)
        return [{"role": role, "content": content}, *self.decode(ids[at + 1 :])]
