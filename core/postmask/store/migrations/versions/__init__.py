"""One module a revision, the same for both databases."""
