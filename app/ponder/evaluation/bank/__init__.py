"""The question bank: arithmetic told in many people's words, as text files, and their reader.

    language    files -> blocks              templates   sentences with alternatives and slots
    terms       arithmetic in let and where  lexicon     words by category
    scene       what slots mean              drawing     a block -> a draft
    stories     a theme -> a draft           checking    what is wrong with a file

Knows what people ask. Refuses to know how it is answered at length, and by whom.
"""
