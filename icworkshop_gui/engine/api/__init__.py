"""The only door of the engine: frozen commands in, frozen snapshots and events out. Imports core alone."""
