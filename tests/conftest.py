"""Tests prove anew what they are about: nothing is remembered, and no cache of the user is used."""

import os

os.environ["BILEVELDSL_CACHE"] = "off"
