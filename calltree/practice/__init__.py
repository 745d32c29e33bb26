"""The practice switch: a small FreeSWITCH that dials nobody.

An event-socket server in a process of its own, with a carrier that answers by a number's last
digit and operators' devices that answer at once. It is what the product runs on before a trunk is
connected, what the tests dial through and what training uses. `python -m calltree.practice --help`.
"""
