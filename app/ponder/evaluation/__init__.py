"""How good is a model, and at what budget? Questions with known answers, and who is right.

Knows arithmetic and words. Refuses to know how an answer is made: no engine, no budget and no
screen is needed to write a question or to read an answer. `comparison` and `measuring` alone have
models answer, through sessions that they are handed.
"""
