"""`python -m rlm_dspy` is `rlm`."""

from rlm_dspy.cli import main

if __name__ == "__main__":
    main()
