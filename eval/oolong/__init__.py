"""OOLONG-synth's contexts and questions, made at any length from texts with labels."""

from eval.oolong.lines import Line as Line
from eval.oolong.lines import parsed_lines as parsed_lines
from eval.oolong.questions import Question as Question
from eval.oolong.questions import questions_of as questions_of
from eval.oolong.sources import SOURCES as SOURCES
from eval.oolong.sources import Source as Source
from eval.oolong.windows import Window as Window
from eval.oolong.windows import make_window as make_window
