"""An index of documents in one SQLite file: any folder goes in, passages come out."""

from tools.documents.dense import DenseRetriever
from tools.documents.document import Document, Piece, Refreshed
from tools.documents.from_langchain import FromLangChain
from tools.documents.fusion import Fusion, fuse
from tools.documents.index import DocumentIndex
from tools.documents.search import index_folder, index_version, search_documents

__all__ = [
    "DenseRetriever",
    "Document",
    "DocumentIndex",
    "FromLangChain",
    "Fusion",
    "Piece",
    "Refreshed",
    "fuse",
    "index_folder",
    "index_version",
    "search_documents",
]
