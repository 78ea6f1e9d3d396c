"""The only reader of models.toml, ponder's own and the user's: which models have a name, and
how families think.

Knows the file and its form (`schema`); what is on this disk is the library's business.
"""

from ponder.catalogue.names import Catalogue, catalogue, sampling, shipped, source
from ponder.catalogue.schema import (
    Api,
    Draw,
    Experts,
    Gguf,
    Layout,
    LoraFile,
    Mla,
    Model,
    Package,
    RopeScaling,
    Scores,
    Serving,
    Shape,
)

__all__ = [
    "Api",
    "Catalogue",
    "Draw",
    "Experts",
    "Gguf",
    "Layout",
    "LoraFile",
    "Mla",
    "Model",
    "Package",
    "RopeScaling",
    "Scores",
    "Serving",
    "Shape",
    "catalogue",
    "sampling",
    "shipped",
    "source",
]
