"""Tests prove anew what they are about: nothing is remembered, no cache of the user is used, random examples repeat.

`--hypothesis-profile=default` draws other examples on each run.
"""

import os

from hypothesis import settings

os.environ["BILEVELDSL_CACHE"] = "off"
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
