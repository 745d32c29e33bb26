"""Calls that come in, on the switch's side: part of the leader (R-IN-1, R-IN-4).

`chains` says what a caller hears in each step, as applications of the switch; `callers` decides,
inside a transaction, what is to be carried out; `carrying` does it over the command link. Which
step follows which is `services.inbound_walk`.
"""
