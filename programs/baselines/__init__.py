"""What `RLM` is compared with.

All but `DspyRLM` ask through the predictors, the wire format and the budget of `RLM`, so that what
a comparison shows is the method, not the wording.
"""

from programs.baselines.direct import Direct as Direct
from programs.baselines.direct_truncated import DirectTruncated as DirectTruncated
from programs.baselines.dspy_rlm import DspyRLM as DspyRLM
from programs.baselines.map_reduce import MapReduce as MapReduce
from programs.baselines.retrieve import Retrieve as Retrieve
