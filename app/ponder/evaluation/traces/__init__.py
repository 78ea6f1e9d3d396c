"""The trace bank: a model's whole traces, recorded once, and every policy replayed on them.

A thought that is stopped at token t is the beginning of the same thought unstopped. So one
recording, with the answers that the model would have given on its way, tells what each way to
stop or to vote would have cost and brought, exactly and without a model.

`form` is the file, `keeping` writes it so that a kill costs one trace, `recording` fills it.
`replaying` stops thoughts by rules, `balloting` lets traces vote, `oracle` knows in hindsight;
`estimating` says how sure a difference is, `choosing` picks thresholds on one half of the
questions, `tables` and `report` tell it.
"""
