"""What a small reasoning model says between its equations.

Knows wordings alone: {braces} are filled in by `traces`. Refuses to know when they are used.
"""

OPENERS = (
    "Let me think.", "Let me think step by step.", "Okay, let me work this out.", "Okay.",
    "Alright, let me see.", "Let me see what is given.", "Let me do this one step at a time.",
    "First, let me understand the question.", "I need to be careful here.", "Hmm, let me see.",
    "Let me read the question carefully.", "Let me go through it in order.",
    "So, let me work it out.",
)  # fmt: skip
GOALS = (
    "I need {goal}.", "The question is about {goal}.", "We are looking for {goal}.",
    "I have to find {goal}.", "Okay, so I need {goal}.", "What is asked is {goal}.",
)  # fmt: skip
FIRST = ("First, ", "First, ", "To start, ", "Okay, ", "")
NEXT = ("Then ", "Next, ", "Now ", "After that, ", "So ", "Then ", "Next, ", "")
LAST = ("Finally, ", "Last, ", "So in the end, ", "Now ")
WAITS_INLINE = ("Wait", "Wait", "Wait", "Wait", "Wait", "Hmm", "Hold on")
ASK_AGAIN = (
    "let me check {it}.", "let me check {it} again.", "let me double-check {it}.",
    "is {it} really {result}?", "let me redo {it}.", "let me make sure about {it}.",
)  # fmt: skip
ASK_READING = (
    "let me read the question again.", "did I read that right?", "let me go back to the question.",
    "did I get the question right?", "let me look at the question once more.",
)  # fmt: skip
MATCHES = (
    "That matches.", "Yes, that is right.", "Good, {result} is correct.", "So {result} is right.",
    "That is the same.", "It fits.",
)  # fmt: skip
CORRECTS = (
    "So it is {new}, not {old}.", "That is not {old}. I made a mistake, it should be {new}.",
    "So {it} is {new}, not {old}. I need to fix this.", "I had {old}, but it is {new}.",
)  # fmt: skip
MISREAD = (
    "It should be {it}, not {wrong}.", "I misread that: it is {it}, not {wrong}.",
    "No, it has to be {it} and not {wrong}.",
)  # fmt: skip
READ_RIGHT = (
    "It is {it}, as I did.", "Yes, {it} is what it says.", "{it} is right.", "It says so: {it}.",
)  # fmt: skip
ANSWERS = (
    "So the answer is {answer}", "So the answer is {answer}", "So the answer is {answer}",
    "The answer is {answer}", "Therefore the answer is {answer}", "That makes {answer}",
)  # fmt: skip
STILL = (
    "So the answer is still {answer}",
    "The answer stays {answer}",
    "So {answer} is the answer",
)
CHANGED = (
    "So the answer is {answer}, not {old}", "So the answer changes to {answer}",
    "So the new answer is {answer}",
)  # fmt: skip
IDLE = (
    "All steps are checked. ", "I checked every step. ", "", "Nothing else is asked. ",
)  # fmt: skip
OVERTHINK = (
    "maybe it means {it} instead.", "perhaps it should be {it}.", "or is it {it}?",
    "actually it could be {it}.",
)  # fmt: skip
GUESS_RIGHT = ("They said {guess}, and that is right.", "So {guess} is correct.")
GUESS_WRONG = ("They said {guess}, so that is wrong.", "So {guess} is not correct.")
PREFACES = ("**Answer:** ", "Here is the answer. ", "Okay. ")
SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant. Answer briefly.",
    "You are a careful math tutor.", "You solve arithmetic problems.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "You are ponder's assistant. Be kind and precise.",
)  # fmt: skip
INSTRUCTIONS = (
    "\nPlease reason step by step, and put your final answer within \\boxed{}.",
    " Please reason step by step, and put your final answer within \\boxed{}.",
    " Put your final answer within \\boxed{}.",
    " Think step by step.",
)
