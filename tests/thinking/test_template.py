"""Templates are foreign programs: the right prompt out of good ones, no harm out of bad ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.catalogue import catalogue
from ponder.dialect import Dialect
from ponder.engines.replay import ByteVocabulary
from ponder.errors import InputError, UnsupportedModel
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate, without_thinking
from ponder.types import Message
from ponder.vocabulary import Vocabulary
from real_vocab import r1, smollm2, tiny
from scripted import LABELLED, PLAIN, TAGGED, TAGS

BYTES = ByteVocabulary(TAGS)
TODAY = date(2025, 1, 20)
HELLO = [Message("user", "Hello")]
R1, S1 = catalogue().dialect("r1"), catalogue().dialect("s1")


def own(vocab: Vocabulary) -> ChatTemplate:
    assert vocab.chat_template is not None
    return ChatTemplate(vocab.chat_template, vocab)


def render(source: str, messages: list[Message] = HELLO) -> str:
    return ChatTemplate(source, BYTES).text(messages, TODAY)


# -- the vendor's templates -----------------------------------------------------------------

R1_PROMPTS = [
    pytest.param(
        [Message("user", "What is 2+2?")],
        "<｜begin▁of▁sentence｜><｜User｜>What is 2+2?<｜Assistant｜>",
        id="a question",
    ),
    pytest.param(
        [Message("system", "Be brief."), Message("user", "Hi")],
        "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜>",
        id="a system prompt",
    ),
    pytest.param(
        [
            Message("user", "2+2?"),
            Message("assistant", "<think>\nEasy.\n</think>\n\n4"),
            Message("user", "And 3+3?"),
            Message("assistant", "6"),
            Message("user", "Sum?"),
        ],
        "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜>\n\n4<｜end▁of▁sentence｜>"
        "<｜User｜>And 3+3?<｜Assistant｜>6<｜end▁of▁sentence｜><｜User｜>Sum?<｜Assistant｜>",
        id="three turns",
    ),
    pytest.param(
        [Message("user", "\n a\n\nb \n")],
        "<｜begin▁of▁sentence｜><｜User｜>\n a\n\nb \n<｜Assistant｜>",
        id="blank space is kept",
    ),
    pytest.param(
        [Message("user", "{{ bos_token }}{% if x %} <b> & '\"")],
        "<｜begin▁of▁sentence｜><｜User｜>{{ bos_token }}{% if x %} <b> & '\"<｜Assistant｜>",
        id="messages are no templates, and nothing is escaped",
    ),
]


@pytest.mark.parametrize(("messages", "text"), R1_PROMPTS)
def test_r1_is_asked_as_its_vendor_does(messages: list[Message], text: str) -> None:
    assert own(r1()).text(messages, TODAY) == text


@pytest.mark.parametrize(("messages", "text"), R1_PROMPTS)
def test_the_builtin_model_is_asked_as_r1_and_told_to_think(
    messages: list[Message], text: str
) -> None:
    assert own(tiny()).text(messages, TODAY) == text + "<think>\n"


@pytest.mark.weights
@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (
            [Message("user", "Hello")],
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
            "Face<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [
                Message("system", "Be brief."),
                Message("user", "Hi"),
                Message("assistant", "Hello"),
                Message("user", "é\n🙂"),
            ],
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\né\n🙂<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
    ],
)
def test_smollm2_is_asked_in_chatml(messages: list[Message], text: str) -> None:
    template = own(smollm2())
    assert template.text(messages, TODAY) == text
    # The thinking is a turn of its own, right behind the assistant's heading.
    opened = resolve(catalogue().dialect("smol"), smollm2()).opened(
        template.tokens(messages, TODAY)
    )
    assert b"".join(map(smollm2().piece, opened)).decode() == f"{text}<|im_start|>think\n"
    # <|im_start|> is also its BOS, and begins the prompt once as it is.
    ids = template.tokens(messages, TODAY)
    assert ids == tuple(smollm2().encode(text, special=True))
    assert ids[0] == 1
    assert ids[1] != 1


# -- exactly one BOS ------------------------------------------------------------------------

BOS_TEMPLATES = {
    "none": "<user>{{ messages[0].content }}",
    "one": "{{ bos_token }}<user>{{ messages[0].content }}",
    "two": "{{ bos_token }}{{ bos_token }}<user>{{ messages[0].content }}",
    "literal": "<bos><user>{{ messages[0].content }}",
}


class Bosless(ByteVocabulary):
    """Has a first tag like any other, and wants none in front."""

    def __init__(self, bos: int | None) -> None:
        super().__init__(TAGS)
        self.bos = bos
        self.add_bos = False


@pytest.mark.parametrize("source", BOS_TEMPLATES.values(), ids=BOS_TEMPLATES)
def test_one_bos_whatever_the_template_writes(source: str) -> None:
    assert ChatTemplate(source, BYTES).tokens(HELLO, TODAY) == (256, 258, *b"Hello")


@pytest.mark.parametrize(("name", "count"), [("none", 0), ("one", 1), ("two", 1), ("literal", 1)])
def test_a_model_that_wants_no_bos_gets_what_its_template_writes(name: str, count: int) -> None:
    ids = ChatTemplate(BOS_TEMPLATES[name], Bosless(256)).tokens(HELLO, TODAY)
    assert ids == (*(256,) * count, 258, *b"Hello")


def test_a_model_without_bos_gets_none() -> None:
    assert ChatTemplate(BOS_TEMPLATES["two"], Bosless(None)).tokens(HELLO, TODAY) == (
        258,
        *b"Hello",
    )


@pytest.mark.parametrize("vocabulary", [r1, tiny])
def test_real_prompts_begin_with_one_bos(vocabulary: Callable[[], Vocabulary]) -> None:
    vocab = vocabulary()
    ids = own(vocab).tokens([Message("system", "Be brief."), *HELLO], TODAY)
    assert ids[0] == vocab.bos
    assert ids.count(ids[0]) == 1


# -- the sandbox ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__.__subclasses__()[0]('x') }}",
        "{{ strftime_now.__self__.__class__.__bases__[0].__subclasses__() }}",
        "{{ raise_exception.__globals__['jinja2'].os }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self._TemplateReference__context.environment.globals }}",
        "{{ (messages|map(attribute='__class__')|first).__mro__ }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ '%s'.__format__.__self__.__class__ }}",
        "{{ messages.append({}) }}",
        "{{ messages.clear() }}",
        "{{ messages[0].update(role='system') }}",
        "{{ messages[0].pop('content') }}",
        "{% set ns = namespace(m=messages) %}{{ ns.m.reverse() }}",
        "{% include 'models.toml' %}",
        "{% import 'os' as os %}{{ os.getcwd() }}",
        "{{ lipsum.__globals__['os'].getcwd() }}",
        "{{ open('models.toml').read() }}",
        "{{ __import__('os').getcwd() }}",
        "{% for i in range(100000000) %}{% endfor %}",
        "{{ messages[7].content }}",
        "{{ nobody.knows }}",
        "{{ 1 // 0 }}",
        "{{ 'a' + 1 }}",
        "{{ 'a'.index('b') }}",
        "{{ '{}'.format() }}",
        "{{ '%(a)s' % {} }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ messages|tojson(indent=messages) }}{{ cycler|tojson }}",
    ],
)
def test_what_a_template_must_not_or_cannot_do_refuses_the_conversation(source: str) -> None:
    messages = list(HELLO)
    with pytest.raises(InputError) as refused:
        ChatTemplate(source, BYTES).text(messages, TODAY)
    assert "chat template" in refused.value.message
    assert refused.value.hint
    assert messages == HELLO


def test_no_attribute_of_python_is_ever_shown() -> None:
    for source in ("{{ ''|attr('__class__') }}", "{{ messages['__class__'] }}"):
        assert render(f"[{source}]") == "[]"


def test_a_template_may_refuse_in_its_own_words() -> None:
    source = "{% if messages[0].role == 'system' %}{{ raise_exception('No system!') }}{% endif %}ok"
    assert render(source) == "ok"
    with pytest.raises(InputError, match="No system!") as refused:
        render(source, [Message("system", "x"), *HELLO])
    assert "--system" in refused.value.hint


@pytest.mark.parametrize(
    "source",
    [
        "{% if %}",
        "{{ messages",
        "{% for m in messages %}",
        "{{ 'a'|no_such_filter }}",
        "{% break %}",
        "{% nonsense %}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    ],
)
def test_a_broken_template_is_refused_when_it_is_read(source: str) -> None:
    with pytest.raises(UnsupportedModel, match="no valid Jinja") as refused:
        ChatTemplate(source, BYTES)
    assert "--template" in refused.value.hint


# -- what vendors' templates count on -------------------------------------------------------


def test_loops_can_be_left() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% break %}{% endif %}"
        "{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content }}{% endfor %}"
    )
    messages = [Message("system", "s"), Message("user", "u"), Message("assistant", "a"), *HELLO]
    assert render(source, messages) == "u"


def test_the_date_is_the_one_handed_in() -> None:
    assert render("{{ strftime_now('%d %B %Y') }}; {{ date_string }}") == (
        "20 January 2025; 20 Jan 2025"
    )


def test_json_is_written_as_models_know_it() -> None:
    assert render("{{ messages|tojson }}", [Message("user", "<é'")]) == (
        '[{"role": "user", "content": "<é\'"}]'
    )
    assert render("{{ {'a': 1}|tojson(indent=2) }}") == '{\n  "a": 1\n}'


def test_blocks_leave_no_lines_behind() -> None:
    assert render("{% if true %}\n  {% set a = 1 %}\nx\n{% endif %}\n") == "x\n"


def test_tags_of_the_vocabulary_are_told() -> None:
    assert render("{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}") == "<bos><eos>True"
    assert ChatTemplate("[{{ bos_token }}]", Bosless(None)).text(HELLO, TODAY) == "[]"


# -- earlier thinking -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "content", "answer"),
    [
        (R1, "4", "4"),
        (R1, "<think>\nhm\n</think>\n\n4", "4"),
        (R1, "hm\n</think>\n\n4", "4"),
        (R1, "<think>a</think>1<think>b</think>2", "2"),
        (R1, "<think>\nhm", ""),
        (R1, "\n<think>\nhm", ""),
        (R1, "<think>a</think>\n<think>hm", ""),
        (R1, "The tag <think> opens.", "The tag <think> opens."),
        (R1, "", ""),
        (S1, "<|im_start|>think\nhm<|im_start|>answer\n4", "4"),
        (S1, "<|im_start|>answer\nFinal Answer: 4", "Final Answer: 4"),
        (S1, "<|im_start|>think\nhm", ""),
        (S1, "answer me", "answer me"),
        (LABELLED, "hm<|im_start|>answer\n4", "4"),
        (PLAIN, "<think>\nhm\n</think>\n\n4", "<think>\nhm\n</think>\n\n4"),
    ],
)
def test_a_turn_is_its_answer(dialect: Dialect, content: str, answer: str) -> None:
    assert without_thinking(content, dialect) == answer


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text("θ <\n"), st.text("ab4\n", min_size=1)), max_size=4))
def test_no_thinking_is_left(blocks: list[tuple[str, str]]) -> None:
    content = "".join(f"<think>\n{thought}</think>{answer}" for thought, answer in blocks)
    answer = without_thinking(content, TAGGED)
    assert "θ" not in answer
    assert "think>" not in answer
    assert answer == (blocks[-1][1].lstrip("\n") if blocks else "")
