"""The plain words that every room shares. Standard library only, frozen, no behaviour but sums.

Token counts are integers, times are seconds, text is what a person may see. Nothing here
knows an engine, a file, a clock or a screen.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant"]

Limit = Literal["budget", "context", "off", "none"]
"""What bounds a thinking: the words of somebody, or the room there is; or there is no thinking,
because it was not wanted or not worth it, or because the model does not."""

Figures = Mapping[str, float]
"""Numbers by name: what a decision rested on."""

Seq = Hashable
"""A handle of one token sequence inside an engine; opaque to everybody else."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. An assistant's `content` is its answer, never its thinking."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; the order of the chain is llama.cpp's own.

    The defaults are DeepSeek's advice for R1 and its distills; everything else is off.
    """

    temperature: float = 0.6
    """0 takes the most likely token each time."""
    top_p: float = 0.95
    """Nucleus: the smallest set of tokens with this much probability. 1 is off."""
    top_k: int = 1024
    """Only the k most likely tokens; 0 is off. A nucleus of 95 % hardly ever reaches that far,
    but looking for it among all 152k tokens of R1's vocabulary was seen to cost 12 ms a token."""
    min_p: float = 0.0
    """Only tokens at least this fraction as likely as the best one. 0 is off."""
    repeat_penalty: float = 1.0
    """Divides the logits of recent tokens. 1 is off."""
    frequency_penalty: float = 0.0
    """Taken from a recent token's logit for each time it occurred."""
    presence_penalty: float = 0.0
    """Taken once from the logit of every recent token."""
    penalty_last_n: int = 64
    """How many tokens count as recent for the three penalties."""
    dry_multiplier: float = 0.0
    """DRY ("don't repeat yourself"): strength against repeated sequences. 0 is off."""
    dry_base: float = 1.75
    """DRY: growth of the penalty with the length of the repetition."""
    dry_allowed_length: int = 2
    """DRY: repetitions up to this length go unpunished."""
    dry_last_n: int = 1024
    """DRY: how far back it looks, in tokens."""
    seed: int = 0
    """Same seed, same machine, same batch: same tokens."""

    @property
    def has_memory(self) -> bool:
        """Whether what was said before changes what is drawn next (penalties, DRY)."""
        return bool(
            self.dry_multiplier
            or self.frequency_penalty
            or self.presence_penalty
            or self.repeat_penalty != 1.0
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a model may think about one question, in tokens that it samples itself."""

    cap: int | None = None
    """At most this many thinking tokens; None: as many as the context holds. 0 is off."""
    floor: int = 0
    """At least this many: an earlier end is withdrawn and the model is told to wait."""
    thinking: bool = True
    """False answers at once, with the family's own way of not thinking."""
    answer_reserve: int = 512
    """Context kept free for the answer, whatever the thinking does."""
    max_answer: int | None = None
    """At most this many answer tokens; None: as many as the context holds."""
    within: float | None = None
    """Seconds from the asking until the answer is complete; None: no deadline."""
    landing: bool = False
    """End at a sentence's end a little before the cap, where one comes."""
    loops: bool = False
    """End a thought that says the same again and again."""
    stop: str = "off"
    """The rule by which a thought may end early, as `thinking.stopping.parse` reads it."""


class Channel(StrEnum):
    """Where a piece of text belongs."""

    THOUGHT = "thought"
    ANSWER = "answer"


class Author(StrEnum):
    """Who put a piece of text there, and what for."""

    MODEL = "model"
    """The model: it was sampled."""
    CLOSING = "closing"
    """ponder: the words that end a thinking."""
    WAIT = "wait"
    """ponder: what stands in the place of a withdrawn end of thinking."""
    LEAD_IN = "lead-in"
    """ponder: what leads the model to its answer."""
    USER = "user"
    """A person."""
    PONDER = "ponder"
    """ponder: in a trace from before it was written down what for."""


class Finish(StrEnum):
    """How the thinking ended: exactly one true word."""

    CLOSED = "closed"
    """The model ended it itself."""
    CAP = "cap"
    """The budget was spent."""
    CONTEXT = "context"
    """The context had no more room, the answer's reserve aside."""
    DEADLINE = "deadline"
    """The time was spent, the answer's share of it aside."""
    LOOP = "loop"
    """It said the same again and again."""
    CONVERGED = "converged"
    """A rule for ending early saw that more thinking would change nothing."""
    AGREED = "agreed"
    """The other traces of its question had agreed on an answer."""
    USER = "user"
    """Somebody asked for the answer now."""
    OFF = "off"
    """Thinking was switched off, or the budget was too small to think with."""
    NONE = "none"
    """This model does not think."""
    CANCELLED = "cancelled"
    """The question was cancelled while it thought."""


class AnswerEnd(StrEnum):
    """How the answer ended."""

    STOP = "stop"
    """The model ended its turn."""
    LIMIT = "limit"
    """The limit on answer tokens was reached, or that of an answer the model was led to."""
    CONTEXT = "context"
    """The context was full."""
    DEADLINE = "deadline"
    """The time was up."""
    DROPPED = "dropped"
    """Other traces of its question had agreed, or needed its tokens; or somebody dropped it."""
    CANCELLED = "cancelled"
    """The question was cancelled."""


class BudgetChange(StrEnum):
    """What may happen to a budget while its question runs, or be decided on it."""

    ANSWER_NOW = "answer now"
    """Somebody asked for the answer: the thinking is ended."""
    EXTEND = "extend"
    """Somebody granted more thinking."""
    WAIT = "wait"
    """Somebody asked that the next end of thinking be withdrawn."""
    HINT = "hint"
    """Words of somebody were put into the thinking."""
    UNHEARD = "unheard"
    """Words of somebody did not get into the thinking: no room, or it ended before."""
    HELD = "held"
    """Somebody had it stand still."""
    WENT_ON = "went on"
    """Somebody had it go on, after it had stood still."""
    BEGUN = "begun"
    """It began with the thinking of an earlier trace, edited."""
    WITHDRAWN = "withdrawn"
    """An end of thinking was withdrawn and became "Wait"."""
    UNTHINKING = "unthinking"
    """There is too little to think with: it answers without."""
    DEADLINE = "deadline"
    """What the time that is left comes to was reckoned, or reckoned anew."""
    LATE = "late"
    """The time for thinking is over."""
    LANDED = "landed"
    """The thinking was ended at a sentence's end, shortly before it would have been cut."""
    LOOP = "loop"
    """It was seen to say the same again and again."""
    CONVERGED = "converged"
    """A look at what would be answered now was enough to end the thinking."""
    AGREED = "agreed"
    """The vote of its question was decided without it."""
    DROPPED = "dropped"
    """The tokens that it shares with other traces were short: the others go on."""
    DISMISSED = "dismissed"
    """Somebody dropped it: the other traces of its question go on."""
    GRANTED = "granted"
    """It was dealt thinking tokens out of a pool that it shares with other questions."""
    PAUSED = "paused"
    """It has used what it was dealt, and others of the pool think in its place."""
    RESUMED = "resumed"
    """It was dealt more, and thinks on."""
    POOL = "pool"
    """What it shares with other traces or questions is spent: the thinking is ended."""
    LED = "led"
    """No answer had come: the model was led to one."""
    REFUSED = "refused"
    """Not even an answer would be there in time: it was not asked."""


@dataclass(frozen=True, slots=True)
class BudgetEvent:
    """One change of a budget, or a decision on it: when, and on what figures."""

    change: BudgetChange
    at: int
    """Thinking tokens sampled until then."""
    tokens: int = 0
    """Thinking tokens that were granted; fewer than asked for where the context is full."""
    figures: Figures = field(default_factory=dict)
    """What it rested on, by name: tokens and counts, and seconds where the name says so."""
    position: int | None = None
    """Tokens of the trace until then, those of all authors. None in traces from before it was
    written down."""


class Chunk(NamedTuple):
    """What one engine step did to one sequence: ids and bytes, never half-decoded text.

    The last sampled token is pending until the next step: it can still be withdrawn or replaced.
    """

    seq: Seq
    tokens: tuple[int, ...] = ()
    """Sampled in this step, in order; empty while the prompt is still being read."""
    pieces: tuple[bytes, ...] = ()
    """The bytes of each token, as long as `tokens`."""
    gaps: tuple[tuple[float, ...], ...] = ()
    """For each token, for each watched id: the best logit less that id's. Empty if none is."""
    prefilled: int = 0
    """Prompt tokens decoded in this step."""
    cached: int = 0
    """Prompt tokens found in the KV cache, told once, with the first chunk."""
    seconds: float = 0.0
    """How long the whole step took, all sequences together."""
    busy: int = 1
    """How many sequences shared the step."""
    logprobs: tuple[float, ...] = ()
    """For each token, the natural logarithm of its probability among all tokens, at temperature
    1 and before any sampler. Empty unless signals were asked for."""
    entropies: tuple[float, ...] = ()
    """For each token, the entropy of the distribution it comes from, in nats; likewise."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text of one channel and one author."""

    channel: Channel
    text: str
    author: Author = Author.MODEL

    @property
    def forced(self) -> bool:
        """Whether the words were put into the model's mouth."""
        return self.author is not Author.MODEL


@dataclass(frozen=True, slots=True)
class Usage:
    """Where the tokens and the seconds of one trace went."""

    prompt: int = 0
    """Tokens of the prompt, cached ones included."""
    cached: int = 0
    """Tokens of the prompt, and of what the thinking began with, that needed no decoding."""
    think: int = 0
    """Sampled by the model while it thought, its own end of thinking included."""
    forced: int = 0
    """Put in by ponder: closing words, "Wait", answer lead-ins."""
    user: int = 0
    """Written by a person: the end of an edited beginning, hints."""
    kept: int = 0
    """Of `think`, those that an earlier trace had sampled, which this one went on from."""
    probe: int = 0
    """Spent on looking ahead, sampled or forced; never part of the trace."""
    answer: int = 0
    """Sampled by the model as its answer."""
    wasted: int = 0
    """Sampled and withdrawn."""
    prefill_seconds: float = 0.0
    """Until the prompt was read."""
    decode_seconds: float = 0.0
    """Steps of this sequence from then on."""
    think_seconds: float = 0.0
    """From its start until its thinking was over, by the clock."""
    wait_seconds: float = 0.0
    """From the asking until its start: it waited for its turn."""
    seconds: float = 0.0
    """From its start to its end, by the clock."""

    @property
    def sampled(self) -> int:
        """All tokens that were sampled for this sequence, withdrawn ones included."""
        return self.think - self.kept + self.answer + self.wasted

    @property
    def tokens_per_second(self) -> float:
        """Sampled tokens a second while decoding; 0 before the first."""
        return self.sampled / self.decode_seconds if self.decode_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class AppliedAdapter:
    """A LoRA adapter that a trace went through: its file's name and hash, and its scale."""

    file: str
    sha256: str
    scale: float


@dataclass(frozen=True, slots=True)
class Trace:
    """One finished question: what was thought, what was answered, and the account of it."""

    spans: tuple[Span, ...]
    tokens: tuple[int, ...]
    """Every token after the prompt, in context order."""
    forced: tuple[bool, ...]
    """For each token, whether ponder put it there."""
    finish: Finish
    answer_end: AnswerEnd
    last_resort: bool
    """Whether ponder had to lead the model to an answer."""
    budget: int | None
    """Thinking tokens it was allowed in the end; None where it does not think."""
    usage: Usage
    sampling: Sampling
    budget_events: tuple[BudgetEvent, ...] = ()
    """What happened to the budget meanwhile, and what was decided, in order."""
    adapters: tuple[AppliedAdapter, ...] = ()
    within: float | None = None
    """Seconds it had from the asking to its last token; None: as many as it liked."""
    confidence: float | None = None
    """Geometric mean probability of its thinking tokens; None where nobody asked for it."""
    user: tuple[bool, ...] = ()
    """For each token, whether a person wrote it; empty where none did."""

    @property
    def thought(self) -> str:
        """The thinking, ponder's own words included."""
        return "".join(s.text for s in self.spans if s.channel is Channel.THOUGHT)

    @property
    def answer(self) -> str:
        """The answer, without surrounding blank space."""
        return "".join(s.text for s in self.spans if s.channel is Channel.ANSWER).strip()
