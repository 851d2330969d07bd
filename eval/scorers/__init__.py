"""The benchmarks' scorers: each gives the same number as the official code, to the last bit.

Where the official code raises, or where its score depends on the day on which it runs, there is no
score to be equal to: a scorer then gives an `Unscored`, which is 0.0 and says why. Nothing is
guessed, repaired or normalised that the official code does not.
"""

from eval.scorers.graphs import graphwalks as graphwalks
from eval.scorers.judging import browsecomp_judge as browsecomp_judge
from eval.scorers.matching import longbench_v2 as longbench_v2
from eval.scorers.matching import mrcr as mrcr
from eval.scorers.matching import ruler as ruler
from eval.scorers.matching import ruler_postprocess as ruler_postprocess
from eval.scorers.oolong import oolong_pairs as oolong_pairs
from eval.scorers.oolong import oolong_real as oolong_real
from eval.scorers.oolong import oolong_synth as oolong_synth
from eval.scorers.unscored import Unscored as Unscored
