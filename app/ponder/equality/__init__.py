"""What did a model answer, and which answers are the same?

Reading is text work (`answers`), and so is most of comparing (`forms`). What is left needs
mathematics, which a child process does (`child`), because algebra can take forever or all
memory there is, and what it reads comes from a model. `Comparer` puts these together, and
sorts the answers of parallel traces into groups.

Refuses to know questions, traces and budgets.
"""

from ponder.equality.answers import read_answer
from ponder.equality.comparer import Comparer
from ponder.equality.forms import same_answer

__all__ = ["Comparer", "read_answer", "same_answer"]
