"""Properties of every right chat template."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from groundup.core.messages import Message
from groundup.core.testing import about, after, assert_equal, claim, hole, points, rejects
from groundup.plugins.alignment.chat_template.cases import (
    BEGIN,
    END,
    INTRUDERS,
    MIDDLE,
    NEARLY,
    ROLES,
    START,
    STRANGERS,
    WORDS,
    Case,
    Messages,
    cases,
    conversations,
    slow_ids,
    slow_learnt,
    slow_pieces,
    slow_turns,
)

DEFAULTS = ("", "a", " b\n")
ONE = conversations(WORDS).map(lambda messages: messages[:1])
NO_SYSTEM = conversations(roles=ROLES[1:])


# What stands before a content


@claim(
    "In chatml the header is <|im_start|>, the role and one line break.",
    zh="chatml 的头部是 <|im_start|>、角色和一个换行。",
)
@hole(1)
@given(case=cases(styles=("chatml",)), role=st.sampled_from(ROLES))
def test_a_chatml_header_ends_with_one_line_break(impl: Any, case: Case, role: str) -> None:
    assert_equal(case.make(impl).header(role), "<|im_start|>" + role + "\n", what=Message("the header"))


@claim(
    "In llama3 the header is the role between <|start_header_id|> and <|end_header_id|>, and two line breaks.",
    zh="llama3 的头部是夹在 <|start_header_id|> 和 <|end_header_id|> 之间的角色，再加两个换行。",
)
@hole(1)
@given(case=cases(styles=("llama3",)), role=st.sampled_from(ROLES))
def test_a_llama3_header_ends_with_two_line_breaks(impl: Any, case: Case, role: str) -> None:
    right = "<|start_header_id|>" + role + "<|end_header_id|>\n\n"
    assert_equal(case.make(impl).header(role), right, what=Message("the header"))


@claim(
    "A role that is none of the four is refused, so that nobody writes a header of their own.",
    zh="四种之外的角色一律拒绝，这样谁也不能自己写头部。",
)
@about("refusal")
@hole(1)
@given(case=cases(), roles=st.tuples(st.sampled_from(NEARLY), st.sampled_from(STRANGERS)))
def test_unknown_roles_are_refused(impl: Any, case: Case, roles: tuple[str, str]) -> None:
    template = case.make(impl)
    for role in roles:
        with rejects(ValueError, what=Message("a role that is none of the four")):
            template.header(role)


# What is written


@claim(
    "Every message is written once, with its role, in the order of the conversation.",
    zh="每条消息连同它的角色各写一次，次序与对话相同。",
)
@hole(2)
@given(case=cases(conversations(st.sampled_from(("a", "b c", "d\n\ne", "")))))
def test_messages_keep_their_order(impl: Any, case: Case) -> None:
    expected = [(message["role"], message["content"]) for message in case.messages]
    assert_equal(turns(impl, case), expected, what=Message("the turns"))


@claim(
    "A conversation that does not begin with a system message gets the default one before it, an empty one too.",
    zh="不以系统消息开头的对话，前面会加上默认的系统消息，内容为空也要加。",
)
@hole(2)
@given(case=cases(NO_SYSTEM, defaults=DEFAULTS))
def test_the_default_comes_first_where_there_is_none(impl: Any, case: Case) -> None:
    roles = [role for role, _ in turns(impl, case)]
    assert_equal(roles, ["system", *[m["role"] for m in case.messages]], what=Message("the roles"))
    default = case.default_system or ""
    (role, content), *_ = turns(impl, case)
    assert_equal((role, content.strip()), ("system", default.strip()), what=Message("the first turn"))


@claim(
    "A conversation that begins with a system message keeps it, and gets no default.",
    zh="以系统消息开头的对话保留自己的系统消息，不加默认的。",
)
@hole(2)
@given(case=cases(conversations(), defaults=("a", "b")), own=WORDS)
def test_a_system_message_of_its_own_is_kept(impl: Any, case: Case, own: str) -> None:
    case = case._replace(messages=[{"role": "system", "content": own}, *case.messages])
    plain = case._replace(default_system=None)
    assert_equal(turns(impl, case), turns(impl, plain), what=Message("the turns"))


@claim(
    "In llama3 every content loses the white space at its ends, the default too; none inside it.",
    zh="llama3 会去掉每段内容两端的空白，默认的也一样；内部的保留。",
)
@hole(2)
@given(case=cases(conversations(WORDS), styles=("llama3",), defaults=(None, " a b\n")))
def test_llama3_drops_white_space_at_the_ends(impl: Any, case: Case) -> None:
    got, expected = ([content for _, content in each] for each in (turns(impl, case), slow_turns(case)))
    assert_equal(got, expected, what=Message("the contents"))


@claim("In chatml every content is written as it is.", zh="chatml 原样写出每段内容。")
@hole(2)
@given(case=cases(conversations(WORDS), styles=("chatml",), defaults=(None, " a b\n")))
def test_chatml_keeps_white_space(impl: Any, case: Case) -> None:
    got, expected = ([content for _, content in each] for each in (turns(impl, case), slow_turns(case)))
    assert_equal(got, expected, what=Message("the contents"))


# The string


@claim(
    "A message is its header, its content, the end token, and in chatml one line break.",
    zh="一条消息是它的头部、内容、结束词元，chatml 里再加一个换行。",
)
@hole(3)
@given(case=cases(ONE))
def test_a_message_is_written_as_its_style_says(impl: Any, case: Case) -> None:
    ((role, content),) = slow_turns(case)
    body = START[case.style] + role + MIDDLE[case.style] + content + END[case.style]
    expected = body + "\n" if case.style == "chatml" else BEGIN["llama3"] + body
    assert_equal(case.make(impl).render(case.messages), expected, what=Message("the string"))


@claim(
    "A conversation is its messages one after the other, and in llama3 <|begin_of_text|> once before them.",
    zh="一段对话就是各条消息依次相接，llama3 在最前面写一次 <|begin_of_text|>。",
)
@hole(3)
@after(test_a_message_is_written_as_its_style_says)
@given(case=cases(defaults=(None, "a")))
def test_a_conversation_is_its_messages_in_a_row(impl: Any, case: Case) -> None:
    expected = "".join(piece.text for piece in slow_pieces(case))
    assert_equal(case.make(impl).render(case.messages), expected, what=Message("the string"))


@claim(
    "The generation prompt is the header of an assistant's message, after everything else; without it there is none.",
    zh="生成提示是一条助手消息的头部，放在最后；不要求时就没有。",
)
@hole(3)
@given(case=cases())
def test_the_generation_prompt_is_an_assistants_header(impl: Any, case: Case) -> None:
    template = case.make(impl)
    plain = template.render(case.messages)
    prompted = template.render(case.messages, add_generation_prompt=True)
    header = START[case.style] + "assistant" + MIDDLE[case.style]
    assert_equal(prompted, plain + header, what=Message("the string with the generation prompt"))


# The ids


@claim(
    "Decoded, the ids are the string of render, with the generation prompt and without.",
    zh="把 id 解码，就是 render 给出的字符串，有没有生成提示都是如此。",
)
@hole(4)
@given(case=cases(defaults=(None, "a")), prompt=st.booleans())
def test_the_ids_spell_the_string(impl: Any, case: Case, prompt: bool) -> None:
    template = case.make(impl)
    ids, _ = template.encode(case.messages, add_generation_prompt=prompt)
    string = template.render(case.messages, add_generation_prompt=prompt)
    assert_equal(case.tokenizer.decode(ids), string, what=Message("the ids, decoded"))


@claim(
    "The special tokens of the row are those that the template writes, and no others: a content that spells the name "
    "of one never becomes one.",
    zh="一行里的特殊词元恰好是模板写的那些：内容里拼出某个特殊词元的名字，也不会变成它。",
)
@points(2)
@hole(4)
@given(case=cases())
def test_only_the_template_writes_special_tokens(impl: Any, case: Case) -> None:
    got = specials(case, case.make(impl).encode(case.messages)[0])
    expected = [piece.text for piece in slow_pieces(case) if piece.special]
    assert_equal(got, expected, what=Message("the special tokens"))


@claim(
    "The ids of the first messages are a prefix of the ids of all.",
    zh="前几条消息的 id，是全部消息的 id 的前缀。",
)
@hole(4)
@given(case=cases(conversations(least=2), defaults=(None, "a")), count=st.integers(1, 3))
def test_the_first_messages_are_a_prefix(impl: Any, case: Case, count: int) -> None:
    template = case.make(impl)
    some, _ = template.encode(case.messages[:count])
    everything, _ = template.encode(case.messages)
    assert_equal(everything[: len(some)], some, what=Message("the first ids of the whole conversation"))


@claim(
    "What the model reads before it answers is what stands before the answer in training: with the generation prompt, "
    "the ids are a prefix of those with the answer.",
    zh="模型作答前读到的，就是训练时回答之前的内容：带生成提示的 id，是加上回答之后的 id 的前缀。",
)
@hole(4)
@given(case=cases(), answer=WORDS)
def test_the_prompt_is_a_prefix_of_the_answered_conversation(impl: Any, case: Case, answer: str) -> None:
    template = case.make(impl)
    asked, _ = template.encode(case.messages, add_generation_prompt=True)
    answered, _ = template.encode([*case.messages, {"role": "assistant", "content": answer}])
    assert_equal(answered[: len(asked)], asked, what=Message("the first ids of the answered conversation"))


@claim(
    "No row has a role that is none of the four: neither render nor encode writes a conversation with one.",
    zh="任何一行里都没有四种之外的角色：render 和 encode 都不写出带有这种角色的对话。",
)
@about("refusal")
@hole(4)
@after(test_unknown_roles_are_refused)
@given(case=cases(), role=st.sampled_from(INTRUDERS))
def test_no_row_has_an_unknown_role(impl: Any, case: Case, role: str) -> None:
    template, messages = case.make(impl), [*case.messages, {"role": role, "content": "a"}]
    for write in (template.render, template.encode):
        with rejects(ValueError, what=Message("a role that is none of the four")):
            write(messages)


# What is learnt


@claim(
    "Exactly the assistant's contents are learnt, and the token that ends each of them: all turns, no header, no line "
    "break.",
    zh="要学的恰好是助手的各段内容，以及结束它们的词元：每一轮都学，头部和换行都不学。",
)
@points(2)
@hole(5)
@given(case=cases(ends=(True,)))
def test_exactly_the_assistants_words_are_learnt(impl: Any, case: Case) -> None:
    _, learnt = case.make(impl).encode(case.messages)
    assert_equal(learnt, slow_learnt(case), what=Message("what is learnt"))


@claim("Without train_end the contents alone are learnt.", zh="train_end 为 False 时只学内容。")
@hole(5)
@given(case=cases(ends=(False,)))
def test_the_end_may_be_left_out(impl: Any, case: Case) -> None:
    _, learnt = case.make(impl).encode(case.messages)
    assert_equal(learnt, slow_learnt(case), what=Message("what is learnt"))


@claim(
    "What others wrote is not learnt, nor is the generation prompt: not the user's, the tool's or the system's.",
    zh="别人写的不学，生成提示也不学：用户、工具和系统的都不学。",
)
@hole(5)
@given(case=cases(conversations(roles=("system", "user", "tool")), defaults=(None, "a")), prompt=st.booleans())
def test_what_others_wrote_is_not_learnt(impl: Any, case: Case, prompt: bool) -> None:
    ids, learnt = case.make(impl).encode(case.messages, add_generation_prompt=prompt)
    assert_equal(learnt, [False] * len(ids), what=Message("what is learnt"))


@claim(
    "A conversation of dozens of messages is written whole and all its answers are learnt, one of thousands of "
    "characters too.",
    zh="几十条消息的对话完整写出，其中的回答全部要学，有几千个字符的回答也一样。",
)
@hole(5)
@after(test_exactly_the_assistants_words_are_learnt)
@given(case=cases(conversations(WORDS)), length=st.sampled_from((2000, 9000)))
def test_long_conversations_are_written_whole(impl: Any, case: Case, length: int) -> None:
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b c"}]
    case = case._replace(messages=[*case.messages, *turn * 20, {"role": "assistant", "content": "a" * length}])
    got, expected = case.make(impl).encode(case.messages), (slow_ids(case), slow_learnt(case))
    assert_equal(got, expected, what=Message("the ids, and what is learnt"))


@claim(
    "A template keeps nothing: used again and again, with the generation prompt or without, it writes what a new one "
    "writes.",
    zh="模板不保留任何东西：反复使用之后，无论带不带生成提示，写出的都与新建的模板相同。",
)
@hole(5)
@after(test_exactly_the_assistants_words_are_learnt)
@given(case=cases(defaults=(None, "a")), other=conversations(WORDS))
def test_nothing_is_kept_between_calls(impl: Any, case: Case, other: Messages) -> None:
    used = case.make(impl)
    for _ in range(8):
        for messages in (other, case.messages):
            used.render(messages, add_generation_prompt=True)
            used.encode(messages, add_generation_prompt=True)
    new = case.make(impl)
    assert_equal(used.render(case.messages), new.render(case.messages), what=Message("the string"))
    assert_equal(used.encode(case.messages), new.encode(case.messages), what=Message("the ids, and what is learnt"))


# Back to messages


@claim(
    "The ids give the conversation back, whatever its contents spell.",
    zh="从 id 可以还原出对话，不管内容里拼出了什么。",
)
@hole(6)
@given(case=cases(defaults=(None, "a")))
def test_the_ids_give_the_conversation_back(impl: Any, case: Case) -> None:
    template = case.make(impl)
    got = template.decode(template.encode(case.messages)[0])
    expected = [{"role": role, "content": content} for role, content in slow_turns(case)]
    assert_equal(got, expected, what=Message("the messages"))


@claim(
    "A message without its end token is left out: a generation prompt, and an answer that is still being written.",
    zh="还没有结束词元的消息略去：生成提示，以及还没写完的回答。",
)
@hole(6)
@given(case=cases(), begun=WORDS)
def test_a_message_without_its_end_is_left_out(impl: Any, case: Case, begun: str) -> None:
    template = case.make(impl)
    ids, _ = template.encode(case.messages, add_generation_prompt=True)
    got = template.decode(ids + case.tokenizer.encode(begun))
    assert_equal(got, template.decode(template.encode(case.messages)[0]), what=Message("the messages"))


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_the_ids_give_the_conversation_back, test_exactly_the_assistants_words_are_learnt)
@given(case=cases(defaults=(None, *DEFAULTS), ends=(True, False)), prompt=st.booleans())
def test_it_equals_the_reference(impl: Any, reference: Any, case: Case, prompt: bool) -> None:
    ours, theirs = case.make(impl), case.make(reference)
    got = ours.encode(case.messages, add_generation_prompt=prompt)
    expected = theirs.encode(case.messages, add_generation_prompt=prompt)
    assert_equal(got, expected, what=Message("the ids, and what is learnt"))
    assert_equal(ours.decode(got[0]), theirs.decode(got[0]), what=Message("the messages"))


def turns(impl: Any, case: Case) -> list[tuple[str, str]]:
    """Return the turns as pairs."""
    return [(role, content) for role, content in case.make(impl).turns(case.messages)]


def specials(case: Case, ids: list[int]) -> list[str]:
    """Return the names of the special tokens among the ids."""
    names = case.tokenizer.special
    return [names[number] for number in ids if number < len(names)]
