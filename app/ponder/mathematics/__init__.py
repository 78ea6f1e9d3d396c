"""Mathematics in LaTeX, as models write it, for people who read it in a terminal.

`formulas` finds it in a text, `latex` reads one formula, `commands` lists what is known beyond
pylatexenc's symbols, `layout` puts it on one row or several. None knows a screen.
"""
