"""Dialects and tags for tests that need no model."""

from __future__ import annotations

from ponder.dialect import Dialect

TAGS = ("<bos>", "<eos>", "<user>", "<assistant>", "<think>", "</think>", "<|im_start|>")

TAGGED = Dialect(
    name="tagged",
    open="<think>\n",
    end="</think>",
    close="\n</think>\n\n",
    cut="\n\nTime is up.\n</think>\n\n",
    nothink="<think>\n\n</think>\n\n",
)
"""One token closes: R1 and its distills."""

SPELLED = Dialect(
    name="spelled",
    open="[think]\n",
    end="[/think]",
    close="\n[/think]\n\n",
    cut="\n\nTime is up.\n[/think]\n\n",
    nothink="[think]\n\n[/think]\n\n",
)
"""The tags are plain text, several tokens each."""

LABELLED = Dialect(
    name="labelled",
    open="<|im_start|>think",
    end="<|im_start|>",
    close="<|im_start|>answer\n",
    cut="\n<|im_start|>answer\nFinal Answer:",
    answer_label="answer",
    nothink="<|im_start|>answer\n",
)
"""The end of thinking begins a labelled turn: s1."""

PLAIN = Dialect(name="plain")
"""No thinking at all."""
