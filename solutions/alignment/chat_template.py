"""Chat templates: a conversation as one row of token ids, and which of them the assistant has written.

Source: ChatML as in Qwen/Qwen2-7B, tokenizer_config.json, chat_template; Llama 3 as in meta-llama/llama3,
llama/tokenizer.py, ChatFormat.
A conversation is a list of messages, at least one; a message is a dict with the texts ``role`` and ``content``.
"""

from __future__ import annotations

from groundup.core.models import Tokenizer

__all__ = ["ChatTemplate"]

ROLES = ("system", "user", "assistant", "tool")
Messages = list[dict[str, str]]


class ChatTemplate:
    r"""Writes conversations in one of two styles, with a line break where ``\n`` stands.

    ``chatml``: each message is ``<|im_start|>ROLE\nCONTENT<|im_end|>\n``.

    ``llama3``: one ``<|begin_of_text|>`` comes first, and each message is
    ``<|start_header_id|>ROLE<|end_header_id|>\n\nCONTENT<|eot_id|>``, its content without white space at either end.

    A name in ``<|...|>`` is one token, a special one of the tokenizer. All the rest is text, roles and line breaks too.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        style: str = "chatml",
        default_system: str | None = None,
        train_end: bool = True,
    ) -> None:
        """Store the tokenizer, which has the special tokens of the style, and three choices.

        ``default_system`` is the content of the system message that a conversation without one gets, "" too; with None
        it gets none. ``train_end`` says whether the token that ends an assistant's message is learnt.
        """
        self.tokenizer, self.style = tokenizer, style
        self.default_system, self.train_end = default_system, train_end
        self.begin = "<|begin_of_text|>" if style == "llama3" else ""
        self.end = "<|eot_id|>" if style == "llama3" else "<|im_end|>"
        self.after = "" if style == "llama3" else "\n"  # what follows the end of a message

    def header(self, role: str) -> str:
        """Return what stands before the content of a message.

        Raises ValueError for a role that is none of system, user, assistant and tool: what a role says is written by
        the template itself, so nobody may choose it. ``render`` and ``encode`` write no other role either.
        """
        # HOLE 1/6: refuse unknown roles; set ``text``. A line break behind the role in one style, two in the other.
        if role not in ROLES:
            raise ValueError(f"no role {role!r}: there are {', '.join(ROLES)}")
        text = f"<|im_start|>{role}\n"
        if self.style == "llama3":
            text = f"<|start_header_id|>{role}<|end_header_id|>\n\n"
        # END HOLE
        return text

    def turns(self, messages: Messages) -> list[tuple[str, str]]:
        """Return role and content of each message that is written, in their order; ``messages`` stay as they are.

        If the first message is not a system message, the default system prompt comes before it, if there is one.
        Contents lose the white space at their ends in ``llama3``, the default too; in ``chatml`` none does.
        """
        # HOLE 2/6: what is written, and in which order; set ``turns``.
        turns = [(message["role"], message["content"]) for message in messages]
        if self.default_system is not None and turns[0][0] != "system":
            turns = [("system", self.default_system), *turns]
        if self.style == "llama3":
            turns = [(role, content.strip()) for role, content in turns]
        # END HOLE
        return turns

    def render(self, messages: Messages, *, add_generation_prompt: bool = False) -> str:
        """Return the conversation as a string, in which special tokens are written by their names.

        ``add_generation_prompt`` adds the header of an assistant's message, for the model to go on from.
        """
        # HOLE 3/6: set ``text``: what begins it, each turn with what stands around it, the generation prompt.
        text = self.begin
        for role, content in self.turns(messages):
            text += self.header(role) + content + self.end + self.after
        if add_generation_prompt:
            text += self.header("assistant")
        # END HOLE
        return text

    def encode(self, messages: Messages, *, add_generation_prompt: bool = False) -> tuple[list[int], list[bool]]:
        """Return the token ids of the conversation, and for each whether it is learnt.

        The ids spell what ``render`` returns, with one difference that a string cannot show: only what the template
        writes becomes a special token. A content that spells the name of one, whoever wrote it, is so many characters.
        Learnt is what the assistant wrote: the contents of its messages, and with ``train_end`` the token that ends
        each of them. What the template writes is not: headers, line breaks, the generation prompt.
        """
        ids = self.tokenizer.encode(self.begin, self.tokenizer.special)
        learnt = [False] * len(ids)
        for role, content in self.turns(messages):
            # HOLE 4/6: set ``parts``, four lists of ids: the header, the content, the end, and what follows the end.
            header = self.tokenizer.encode(self.header(role), self.tokenizer.special)
            end = [self.tokenizer.id(self.end)]
            parts = [header, self.tokenizer.encode(content), end, self.tokenizer.encode(self.after)]
            # END HOLE

            # HOLE 5/6: set ``flags``: for each of the four parts, whether it is learnt.
            # EMPTY: flags = [False] * 4
            own = role == "assistant"
            flags = [False, own, own and self.train_end, False]
            # END HOLE
            for part, flag in zip(parts, flags, strict=True):
                ids += part
                learnt += [flag] * len(part)
        if add_generation_prompt:
            prompt = self.tokenizer.encode(self.header("assistant"), self.tokenizer.special)
            ids, learnt = ids + prompt, learnt + [False] * len(prompt)
        return ids, learnt

    def decode(self, ids: list[int]) -> Messages:
        """Return the messages that ids spell, as ``encode`` makes them: the roles and contents of ``turns``.

        A message ends at its end token. One that has none yet, such as a generation prompt, is left out.
        """
        # HOLE 6/6: set ``messages``. A content may spell the name of a special token, so look for the tokens' ids.
        before, behind = self.header("user").split("user")  # around a role
        (start,) = self.tokenizer.encode(before, self.tokenizer.special)
        messages, turn = [], list[int]()
        for number in ids:
            if number == start:
                turn = []
            elif number == self.tokenizer.id(self.end):
                role, content = self.tokenizer.decode(turn).split(behind, 1)
                messages.append({"role": role, "content": content})
            else:
                turn.append(number)
        # END HOLE
        return messages
