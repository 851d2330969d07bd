"""The commands of `rlm`, a module a group.

Promised: importing one loads neither dspy, litellm nor pydantic: each command imports what it needs
when it runs. A module's `app` holds its commands; `rlm_dspy.cli` lists the modules.
"""
