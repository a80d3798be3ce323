"""Iron Curtain Workshop: the version, and nothing else, so that importing the package is instant."""

__version__ = "0.1.0"
