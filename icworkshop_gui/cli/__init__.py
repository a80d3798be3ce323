"""The command line: the engine's door for shells and scripts. Imports no Qt."""
