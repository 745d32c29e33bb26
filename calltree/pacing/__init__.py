"""How many lines to dial: the rule, what it learns, and a simulator that runs the same rule.

Pure: no clock, no database, no switch, no request. It lies below services and telephony, because
the dialler paces with it and pages ask it what another multiplier would do.
"""
