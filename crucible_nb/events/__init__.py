"""Standard event names, column schema, and typed batches of events.

Examples:
    >>> import crucible_nb as cr
    >>> cr.events.info("llm.request").category
    'llm'
"""

from crucible_nb.events.names import EventInfo, by_category, info, standard

__all__ = ["EventInfo", "by_category", "info", "standard"]
