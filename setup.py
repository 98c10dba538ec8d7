"""For tools that want a setup.py (stdeb, pybuild of Debian 11 and 12); everything is in setup.cfg."""

from setuptools import setup

setup()
