"""An evaluation for people: a table, a curve in the terminal, Markdown, a page.

    words.py        figures as words, which all of them share
    drawing.py      accuracy against thinking tokens, as SVG
    curve.py        the same, in characters
    markdown.py     a table and the curve's SVG, for documents
    page.py         one page of HTML

All of them show a `Summary`. None knows a model.
"""
