"""The vocabulary: value types and their arithmetic, one noun a file. Imports the standard library only."""
