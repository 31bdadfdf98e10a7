"""Retrieval with a model that was tuned on prompts with passages."""

from systems.fine_tuned import FineTunedSystem
from systems.rag import RagSystem


class TunedRagSystem(RagSystem, FineTunedSystem):
    """A RAG system that trains on what its own retriever brings for each row.

    Samples of its training are compared with the passages of then, so that the corpus may change.

    References
    ----------
    Zhang et al. (2024), "RAFT: Adapting Language Model to Domain Specific RAG", arXiv 2403.10131.
    """
