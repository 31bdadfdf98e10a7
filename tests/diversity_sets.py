"""Encoders and row sets with known properties, for the tests of diversity."""

import zlib
from dataclasses import replace

import numpy as np

from harness.diversity.plain_text import words
from harness.training_rows import TrainingRow


class HashingEncoder:
    """Bags of words and of letter triples, hashed: near texts that share words, and fast."""

    fingerprint = "hashing-256"

    def __init__(self, dimensions=256):
        self.dimensions = dimensions
        self.encoded = []

    def encode(self, texts):
        self.encoded += texts
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in words(text):
                grams = [word, *(word[i : i + 3] for i in range(len(word) - 2))]
                for gram in grams:
                    weight = 1.0 if gram == word else 0.3
                    code = zlib.crc32(gram.encode("utf-8", "surrogatepass"))
                    vectors[row, code % self.dimensions] += weight if code & 1024 else -weight
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)


def invented_word(rng):
    syllables = [
        "ba",
        "ki",
        "lo",
        "mu",
        "ne",
        "ra",
        "si",
        "to",
        "ve",
        "zu",
        "dar",
        "fen",
        "gol",
        "hip",
    ]
    return "".join(rng.choice(syllables, 3))


class Topics:
    """A language of invented words: each label has words of its own, and any two texts differ."""

    def __init__(self, labels=8, seed=0):
        self.rng = np.random.default_rng(seed)
        self.labels = [f"label-{k}" for k in range(labels)]
        self.own = [[invented_word(self.rng) for _ in range(14)] for _ in self.labels]
        self.common = [invented_word(self.rng) for _ in range(60)]

    def text(self, label):
        own = list(self.rng.choice(self.own[label], 6, replace=False))
        return " ".join(self.rng.permutation(own + list(self.rng.choice(self.common, 4, False))))

    def rows(self, n):
        return [
            TrainingRow(
                input=self.text(i % len(self.labels)),
                output=self.labels[i % len(self.labels)],
                metadata={"author": "a person", "licence": "CC0-1.0"},
                file="train.jsonl",
                line=i + 1,
            )
            for i in range(n)
        ]


def random_unit(rng, n, d):
    vectors = rng.standard_normal((n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Planted:
    """Half near-copies, 5 % leaked, 8 % wrong labels, none of them in the same row."""

    def __init__(self, topics, cases, *, n=800):
        rng = np.random.default_rng(1)
        rows = topics.rows(n)
        order = [int(i) for i in rng.permutation(n)]
        half, leaked, wrong = n // 2, n // 20, (n * 8) // 100
        self.copies = set(order[:half])
        self.leaked = set(order[half : half + leaked])
        self.wrong = set(order[half + leaked : half + leaked + wrong])
        originals = order[half + leaked + wrong :]
        clothes = [str.upper, "{}!".format, "  {} ".format, "{} ...".format]
        for place, i in enumerate(sorted(self.copies)):
            source = rows[originals[place % len(originals)]]
            rows[i] = replace(rows[i], input=clothes[place % 4](source.input), output=source.output)
        for place, i in enumerate(sorted(self.leaked)):
            case = cases[place]
            rows[i] = replace(rows[i], input=case.input, output=case.expected_output)
        for i in self.wrong:
            other = [label for label in topics.labels if label != rows[i].output]
            rows[i] = replace(rows[i], output=str(rng.choice(other)))
        self.rows = rows
