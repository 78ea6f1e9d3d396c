"""llama.cpp through llama-cpp-python's low-level API: one context, many sequences.

The only room, beside the quantizer's kernels, that knows llama_cpp. Never the high-level
`Llama` class: it cannot batch.
"""

from ponder.engines.llama.engine import LlamaEngine
from ponder.engines.llama.load import LlamaConfig

__all__ = ["LlamaConfig", "LlamaEngine"]
