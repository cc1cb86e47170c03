"""The numbers that the paper reports, to print beside a study's own.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", JMLR 21 (2020),
arXiv 1910.10683: Tables 1, 8 and 9. GLUE and SGLUE are averages, CNNDM is ROUGE-2-F, SQuAD is exact match, the
translations are BLEU.
"""

SOURCE = "Raffel et al. 2020 (arXiv 1910.10683), Tables 1, 8 and 9"
COLUMNS = ["GLUE", "CNNDM", "SQuAD", "SGLUE", "EnDe", "EnFr", "EnRo"]
TASK_COLUMNS = {
    "glue": "GLUE", "cnn_dailymail": "CNNDM", "squad": "SQuAD", "superglue": "SGLUE",
    "wmt_ende": "EnDe", "wmt_enfr": "EnFr", "wmt_enro": "EnRo",
}  # fmt: skip

# Table 8: the corpora, and Table 9: C4 cut to so many tokens and repeated.
ROWS = {
    "C4": [83.28, 19.24, 80.88, 71.36, 26.98, 39.82, 27.65],
    "C4, unfiltered": [81.46, 19.14, 78.78, 68.04, 26.55, 39.34, 27.21],
    "RealNews-like": [83.83, 19.23, 80.39, 72.38, 26.75, 39.90, 27.48],
    "WebText-like": [84.03, 19.31, 81.42, 71.40, 26.80, 39.74, 27.59],
    "Wikipedia": [81.85, 19.31, 81.29, 68.01, 26.94, 39.69, 27.67],
    "Wikipedia + TBC": [83.65, 19.28, 82.08, 73.24, 26.77, 39.63, 27.57],
    "2^29 tokens": [82.87, 19.19, 80.97, 72.03, 26.83, 39.74, 27.63],
    "2^27 tokens": [82.62, 19.20, 79.78, 69.97, 27.02, 39.71, 27.33],
    "2^25 tokens": [79.55, 18.57, 76.27, 64.76, 26.38, 39.56, 26.80],
    "2^23 tokens": [76.34, 18.33, 70.92, 59.29, 26.37, 38.84, 25.81],
}
# Table 1: the spread of ten runs of the baseline, and fine-tuning without pre-training.
DEVIATION = [0.235, 0.065, 0.343, 0.416, 0.112, 0.090, 0.108]
NOT_PRETRAINED = [66.22, 17.60, 50.31, 53.04, 25.86, 39.77, 24.04]


def paper_row(name: str) -> dict[str, float]:
    return dict(zip(COLUMNS, ROWS[name]))
