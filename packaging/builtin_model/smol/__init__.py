"""How `ponder-smol` is made: a language model that was trained elsewhere learns to think.

The s1 way (arXiv:2501.19393): fine-tuning on traces, here of generated arithmetic, and as a
low-rank adapter, so that the base stays the file that others publish. Knows the base, the
adapter and the training of one over the other. Refuses to know what is asked and how it is
thought about: that is handed in as examples.
"""
