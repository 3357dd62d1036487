"""Works on short documents: hashed words, and exact tf-idf."""

from benchmarks.data import TEXT
from benchmarks.work import DECODE, MODEL, OURS, Contender, Reach, Work

__all__ = ["HASHED", "TFIDF"]


def _work(name: str, title: str, way: str, expected_s: float) -> Work:
    return Work(
        name,
        f"documents of ten words in parquet: {title}, SGDClassifier, one epoch",
        TEXT,
        (
            Contender(OURS, f"text.{way}_ours", expected_s=expected_s),
            Contender("hand loop", f"text.{way}_hand", expected_s=expected_s, coef_tolerance=1e-6),
            Contender(
                "in memory",
                f"text.{way}_memory",
                most_runs=3,
                expected_s=expected_s,
                different="it shuffles all rows",
            ),
            Contender(DECODE, "decode", expected_s=2),
            Contender(MODEL, f"text.{way}_model", expected_s=10),
        ),
        reaches=(Reach("speed", 1.5, "hand loop"),),
        rows_factor=0.2,
    )


HASHED = _work("text-hash", "HashingVectorizer", "hash", 60)
TFIDF = _work("text-tfidf", "exact tf-idf", "tfidf", 150)
