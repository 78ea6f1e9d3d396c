"""The question bank: arithmetic told in many people's words, as text files, and their reader.

    language    a file -> blocks                 scene       what slots mean in one question
    rules       what a block has to have         drawing     a block -> a draft
    terms       arithmetic in let and where      stories     a theme -> a draft
    templates   sentences with alternatives      checking    what drawing shows to be wrong
    lexicon     words by category                collection  all files that come with ponder
    numerals    numbers in words                 phrases     words around a question

Knows what people ask. Refuses to know how it is answered at length, and by whom.
`python -m ponder.evaluation.bank FILE...` checks files.
"""
