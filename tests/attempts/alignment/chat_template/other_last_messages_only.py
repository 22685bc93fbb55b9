from __future__ import annotations

from groundup.core.models import Tokenizer


class ChatTemplate:
    def __init__(
        self, tokenizer: Tokenizer, *, style: str = "chatml", default_system: str | None = None, train_end: bool = True
    ) -> None:
        self.tokenizer, self.llama = tokenizer, style == "llama3"
        self.default_system, self.train_end = default_system, train_end

    def _header(self, role: str) -> list[tuple[str, bool, bool]]:
        if role not in {"system", "user", "assistant", "tool"}:
            raise ValueError(role)
        if self.llama:
            return [
                ("<|start_header_id|>", True, False),
                (role, False, False),
                ("<|end_header_id|>", True, False),
                ("\n\n", False, False),
            ]
        return [("<|im_start|>", True, False), (role + "\n", False, False)]

    def header(self, role: str) -> str:
        return "".join(text for text, *_ in self._header(role))

    def turns(self, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
        first = []
        if messages[0]["role"] != "system" and self.default_system is not None:
            first = [{"role": "system", "content": self.default_system}]
        every = first + list(messages)[-16:]
        return [(m["role"], m["content"].strip() if self.llama else m["content"]) for m in every]

    def _pieces(self, messages: list[dict[str, str]], prompt: bool) -> list[tuple[str, bool, bool]]:
        pieces = [("<|begin_of_text|>", True, False)] if self.llama else []
        for role, content in self.turns(messages):
            mine = role == "assistant"
            pieces.extend(self._header(role))
            pieces.append((content, False, mine))
            pieces.append(("<|eot_id|>" if self.llama else "<|im_end|>", True, mine and self.train_end))
            if not self.llama:
                pieces.append(("\n", False, False))
        return pieces + (self._header("assistant") if prompt else [])

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
        return "".join(text for text, *_ in self._pieces(messages, add_generation_prompt))

    def encode(
        self, messages: list[dict[str, str]], *, add_generation_prompt: bool = False
    ) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        learnt: list[bool] = []
        for text, special, mine in self._pieces(messages, add_generation_prompt):
            own = [self.tokenizer.id(text)] if special else self.tokenizer.encode(text)
            ids.extend(own)
            learnt.extend(mine for _ in own)
        return ids, learnt

    def decode(self, ids: list[int]) -> list[dict[str, str]]:
        start = self.tokenizer.id("<|start_header_id|>" if self.llama else "<|im_start|>")
        end = self.tokenizer.id("<|eot_id|>" if self.llama else "<|im_end|>")
        found, at = [], 0
        while start in ids[at:]:
            first = ids.index(start, at)
            if end not in ids[first:]:
                break
            at = ids.index(end, first)
            role, _, content = self.tokenizer.decode(ids[first + 1 : at]).partition(self.header("user")[-1:])
            if self.llama:
                role, content = role.removesuffix("<|end_header_id|>"), content[1:]
            found.append({"role": role, "content": content})
        return found
