"""The numbers that the paper reports, to print beside a study's own.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", JMLR 21 (2020),
arXiv 1910.10683; every figure was held against the text of the paper. GLUE and SGLUE are averages, CNNDM is ROUGE-2-F, SQuAD
is exact match, the translations are BLEU. Table 10's row of adapters with d = 2048 is left out: the paper prints the row of
d = 128 a second time there.
"""

SOURCE = "Raffel et al. 2020 (arXiv 1910.10683)"
COLUMNS = ["GLUE", "CNNDM", "SQuAD", "SGLUE", "EnDe", "EnFr", "EnRo"]
TASK_COLUMNS = {
    "glue": "GLUE", "cnn_dailymail": "CNNDM", "squad": "SQuAD", "superglue": "SGLUE",
    "wmt_ende": "EnDe", "wmt_enfr": "EnFr", "wmt_enro": "EnRo",
}  # fmt: skip

BASELINE = [83.28, 19.24, 80.88, 71.36, 26.98, 39.82, 27.65]  # the starred row of every table
# 2: architectures, 4 to 7: objectives, rates, spans, 8: corpora, 9: C4 cut to so many tokens and repeated, 10: fine-tuning, 11:
# mixing, 12: multi-task strategies, 13: four times the compute.
TABLES = {
    2: {
        "encoder-decoder, denoising": BASELINE,
        "enc-dec, shared, denoising": [82.81, 18.78, 80.63, 70.73, 26.72, 39.03, 27.46],
        "enc-dec, 6 layers, denoising": [80.88, 18.97, 77.59, 68.42, 26.38, 38.40, 26.95],
        "language model, denoising": [74.70, 17.93, 61.14, 55.02, 25.09, 35.28, 25.86],
        "prefix LM, denoising": [81.82, 18.61, 78.94, 68.11, 26.43, 37.98, 27.39],
        "encoder-decoder, LM": [79.56, 18.59, 76.02, 64.29, 26.27, 39.17, 26.86],
        "enc-dec, shared, LM": [79.60, 18.13, 76.35, 63.50, 26.62, 39.17, 27.05],
        "enc-dec, 6 layers, LM": [78.67, 18.26, 75.32, 64.06, 26.13, 38.42, 26.89],
        "language model, LM": [73.78, 17.54, 53.81, 56.51, 25.23, 34.31, 25.38],
        "prefix LM, LM": [79.68, 17.84, 76.87, 64.86, 26.28, 37.51, 26.76],
    },
    4: {
        "prefix language modelling": [80.69, 18.94, 77.99, 65.27, 26.86, 39.73, 27.49],
        "BERT-style": [82.96, 19.17, 80.65, 69.85, 26.78, 40.03, 27.41],
        "deshuffling": [73.17, 18.59, 67.61, 58.47, 26.11, 39.30, 25.62],
    },
    5: {
        "MASS-style": [82.32, 19.16, 80.10, 69.28, 26.79, 39.89, 27.55],
        "replace corrupted spans": BASELINE,
        "drop corrupted tokens": [84.44, 19.31, 80.52, 68.67, 27.07, 39.76, 27.82],
    },
    6: {
        "10 % corrupted": [82.82, 19.00, 80.38, 69.55, 26.87, 39.28, 27.44],
        "15 % corrupted": BASELINE,
        "25 % corrupted": [83.00, 19.54, 80.96, 70.48, 27.04, 39.83, 27.47],
        "50 % corrupted": [81.27, 19.32, 79.80, 70.33, 27.01, 39.90, 27.49],
    },
    7: {
        "spans of 2": [83.54, 19.39, 82.09, 72.20, 26.76, 39.99, 27.63],
        "spans of 3": [83.49, 19.62, 81.84, 72.53, 26.86, 39.65, 27.62],
        "spans of 5": [83.40, 19.24, 82.05, 72.23, 26.88, 39.40, 27.53],
        "spans of 10": [82.85, 19.33, 81.84, 70.44, 26.79, 39.49, 27.69],
    },
    8: {
        "C4": [83.28, 19.24, 80.88, 71.36, 26.98, 39.82, 27.65],
        "C4, unfiltered": [81.46, 19.14, 78.78, 68.04, 26.55, 39.34, 27.21],
        "RealNews-like": [83.83, 19.23, 80.39, 72.38, 26.75, 39.90, 27.48],
        "WebText-like": [84.03, 19.31, 81.42, 71.40, 26.80, 39.74, 27.59],
        "Wikipedia": [81.85, 19.31, 81.29, 68.01, 26.94, 39.69, 27.67],
        "Wikipedia + TBC": [83.65, 19.28, 82.08, 73.24, 26.77, 39.63, 27.57],
    },
    9: {
        "2^29 tokens": [82.87, 19.19, 80.97, 72.03, 26.83, 39.74, 27.63],
        "2^27 tokens": [82.62, 19.20, 79.78, 69.97, 27.02, 39.71, 27.33],
        "2^25 tokens": [79.55, 18.57, 76.27, 64.76, 26.38, 39.56, 26.80],
        "2^23 tokens": [76.34, 18.33, 70.92, 59.29, 26.37, 38.84, 25.81],
    },
    10: {
        "all parameters": BASELINE,
        "adapters, d = 32": [80.52, 15.08, 79.32, 60.40, 13.84, 17.88, 15.54],
        "adapters, d = 128": [81.51, 16.62, 79.47, 63.03, 19.83, 27.50, 22.63],
        "adapters, d = 512": [81.54, 17.78, 79.18, 64.30, 23.45, 33.98, 25.81],
        "gradual unfreezing": [82.50, 18.95, 79.17, 70.79, 26.71, 39.02, 26.93],
    },
    11: {
        "pre-training and fine-tuning": BASELINE,
        "equal": [76.13, 19.02, 76.51, 63.37, 23.89, 34.31, 26.78],
        "K = 2^16": [80.45, 19.04, 77.25, 69.95, 24.35, 34.99, 27.10],
        "K = 2^17": [81.56, 19.12, 77.00, 67.91, 24.36, 35.00, 27.25],
        "K = 2^18": [81.67, 19.07, 78.17, 67.94, 24.57, 35.19, 27.39],
        "K = 2^19": [81.42, 19.24, 79.78, 67.30, 25.21, 36.30, 27.76],
        "K = 2^20": [80.80, 19.24, 80.36, 67.38, 25.66, 36.93, 27.68],
        "K = 2^21": [79.83, 18.79, 79.50, 65.10, 25.82, 37.22, 27.13],
        "T = 2": [81.90, 19.28, 79.42, 69.92, 25.42, 36.72, 27.20],
        "T = 4": [80.56, 19.22, 77.99, 69.54, 25.04, 35.82, 27.45],
        "T = 8": [77.21, 19.10, 77.14, 66.07, 24.55, 35.35, 27.17],
    },
    12: {
        "unsupervised pre-training and fine-tuning": BASELINE,
        "multi-task training": [81.42, 19.24, 79.78, 67.30, 25.21, 36.30, 27.76],
        "multi-task pre-training and fine-tuning": [83.11, 19.12, 80.26, 71.03, 27.08, 39.80, 28.07],
        "leave-one-out multi-task": [81.98, 19.05, 79.97, 71.68, 26.93, 39.79, 27.87],
        "supervised multi-task pre-training": [79.93, 18.96, 77.38, 65.36, 26.81, 40.13, 28.04],
    },
    13: {
        "baseline": BASELINE,
        "4x steps": [85.33, 19.33, 82.45, 74.72, 27.08, 40.66, 27.93],
        "4x batch": [84.60, 19.42, 82.52, 74.64, 27.07, 40.60, 27.84],
        "2x size, 2x steps": [86.18, 19.66, 84.18, 77.18, 27.52, 41.03, 28.19],
        "4x size": [85.91, 19.73, 83.86, 78.04, 27.47, 40.71, 28.10],
        "4x ensembled": [84.77, 20.10, 83.09, 71.74, 28.05, 40.53, 28.57],
        "4x ensembled, fine-tuned apart": [84.05, 19.57, 82.36, 71.55, 27.55, 40.22, 28.09],
    },
}  # fmt: skip
ROWS = {name: numbers for rows in TABLES.values() for name, numbers in rows.items()}
TABLE_OF = {name: number for number, rows in TABLES.items() for name in rows}

# Table 1: the spread of ten runs of the baseline, and fine-tuning without pre-training.
DEVIATION = [0.235, 0.065, 0.343, 0.416, 0.112, 0.090, 0.108]
NOT_PRETRAINED = [66.22, 17.60, 50.31, 53.04, 25.86, 39.77, 24.04]

# Exact match where a corpus of the right kind helps most (section 3.4.1).
EXACT = {"multirc": {"C4": 25.78, "Wikipedia + TBC": 50.93}, "record": {"C4": 68.16, "RealNews-like": 73.72}}


def paper_row(name: str) -> dict[str, float]:
    return dict(zip(COLUMNS, ROWS[name]))
