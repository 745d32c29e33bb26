"""The dialler's loop: part of the leader, on a thread of its own (R-DL-1 … R-DL-8).

`loop` looks ten times a second and ticks once; `pilot` drives one campaign; `answering` looks after
customers who answered and wait. Whom to dial, when again and for whom an operator is kept are rules
of `services.campaign_*` and `services.redialling`; how many is `pacing`.
"""
