"""How one family of models opens, closes and extends its thinking: plain words, no ids.

Data of the catalogue. `thinking.protocol` turns it into token ids with a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words of one family of models."""

    name: str
    open: str = ""
    """Opens the thinking; appended to the prompt unless the template has already done so."""
    end: str = ""
    """The tag that ends the thinking. Empty: this family does not think."""
    close: str = ""
    """What ponder writes where the model meant to end but used the wrong token."""
    cut: str = ""
    """What ponder writes to end a thought short, a closing sentence included."""
    answer_label: str = ""
    """A label that the answer may begin with and that nobody needs to see."""
    wait: str = "Wait"
    """What keeps a model thinking that wanted to stop."""
    last_resort: str = "\n\n**Final Answer**\n\n"
    """What leads to an answer when none came."""
    last_resort_boxed: str = "\n\n**Final Answer**\n\n\\boxed{"
    """The same, where the question asks for a boxed answer."""
    nothink: str = ""
    """A whole thinking block that means "don't", opening included."""
    smallest: int = 1
    """Budgets below this are not worth thinking with."""
