"""Property tests here are about results: a busy machine must not fail them for time."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
