"""Many questions out of a file, asked under one pool, their results in another file.

Knows lines of JSON, how one question becomes a prompt, and how a run is gone on with. Refuses to
know who thinks how long: that is dealt out in `ponder.thinking`.
"""
