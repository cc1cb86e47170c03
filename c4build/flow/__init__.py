"""The flows: what Beam runs, from inputs to published shards."""
