"""The JSON API (R-AR-3): one blueprint, a module for each thing, documented by its own code."""

from calltree.blueprints.api import calls, customers, do_not_call, lists, me, records, tasks
from calltree.blueprints.api.door import bp
from calltree.blueprints.api.openapi import document

__all__ = ["bp", "calls", "customers", "do_not_call", "document", "lists", "me", "records", "tasks"]
