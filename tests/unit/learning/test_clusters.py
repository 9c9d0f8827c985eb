"""Failures about the same thing come together, and their names say what it is."""

from __future__ import annotations

import numpy as np

from appliance.learning.clusters import LEAST_OF_WORDS, by_vectors, by_words, clustered, names

QUESTIONS = [
    "How long is the notice period for parking permits?",
    "What does a parking permit cost?",
    "Who renews my parking permit?",
    "Which form do I need for a travel expense claim?",
    "How are travel expenses refunded?",
    "travel expenses of last month",
    "Warum ist der Drucker offline?",
]


def test_questions_about_one_thing_are_one_cluster_and_the_largest_is_first() -> None:
    found = clustered(by_words(QUESTIONS), LEAST_OF_WORDS)
    assert found == [[0, 1, 2], [3, 4, 5], [6]]
    told = names(QUESTIONS, found)
    assert "parking" in told[0]
    assert "travel" in told[1]
    assert "drucker" in told[2]
    assert not {"the", "how", "for", "ist", "der"} & {word for name in told for word in name}


def test_clusters_hold_every_text_once_whatever_the_texts_are() -> None:
    texts = ["", "   ", "?", "the of and", *QUESTIONS, *QUESTIONS]
    found = clustered(by_words(texts), LEAST_OF_WORDS)
    assert sorted(index for one in found for index in one) == list(range(len(texts)))
    assert len(names(texts, found)) == len(found)


def test_vectors_put_together_what_no_word_does() -> None:
    vectors = np.array([[1.0, 0.1], [0.9, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert clustered(by_vectors(vectors), 0.55) == [[0, 1], [2], [3]]


def test_a_chain_of_neighbours_is_no_cluster() -> None:
    """Each is near the next one, the first and the last have nothing in common: average linkage stops."""
    angles = np.linspace(0, np.pi / 2, 10)
    found = clustered(by_vectors(np.stack([np.cos(angles), np.sin(angles)], axis=1)), 0.9)
    assert len(found) > 1
    assert max(map(len, found)) < 10


def test_nothing_and_one_thing_are_clustered_too() -> None:
    assert clustered(np.zeros((0, 0)), 0.5) == []
    assert clustered(np.ones((1, 1)), 0.5) == [[0]]
