"""A script that ends, once it is told to, while a run in a thread of it waits for a batch.

python deserted_batch.py URL
"""

import sys
import threading

import dspy

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.testing import ScriptedLM, code

SOURCE = "SUBMIT(answer=str(ask_each('Which?', [f'item {n}' for n in range(20)], pack=1)))"


def run():
    lm = dspy.LM("openai/gpt-4o-mini", api_key="k", api_base=sys.argv[1])
    options = RLMOptions(batch_api="auto", batch_above=10, record="off")
    with dspy.context(lm=ScriptedLM([code(SOURCE)])):
        RLM(sub_lm=lm, options=options)(context="x", query="q")


if __name__ == "__main__":
    threading.Thread(target=run, daemon=True).start()
    sys.stdin.readline()
