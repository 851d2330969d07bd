"""A reader for each kind of source; `rlm_dspy.context.reading` has the list and asks them."""
