"""Rules that rewrite a graph into one that computes the same with less; each is a plain function."""
