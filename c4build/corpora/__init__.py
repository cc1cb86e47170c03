"""The other corpora of the ablation: Wikipedia, books, URLs shared on Reddit, corpora cut to a size; and a look at any."""
