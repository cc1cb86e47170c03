"""A small T5 trainer: from a corpus's folder to a row of the paper's table. Needs the extra `train`."""
