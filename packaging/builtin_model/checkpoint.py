"""A trained model as a folder that transformers loads and `ponder quantize` converts.

Knows file names and formats. Refuses to know how the weights came to be: what is to be told
about that is handed in and becomes training.json. Each file is complete or not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from tokenizers import Tokenizer

from builtin_model import tokenizer as vocabulary
from builtin_model.model import HEAD, LanguageModel, Shape


def write(
    folder: Path, model: LanguageModel, tokenizer: Tokenizer, training: Mapping[str, Any]
) -> None:
    """Write weights in bfloat16, configurations, tokenizer and training.json."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.detach().to("cpu", torch.bfloat16).contiguous()
        for name, weight in model.named_parameters()
    }
    _whole(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))
    ends = {
        "bos_token_id": tokenizer.token_to_id(vocabulary.BEGIN),
        "eos_token_id": tokenizer.token_to_id(vocabulary.END),
    }
    _json(folder / "config.json", _configuration(model.shape) | ends)
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.95}
    _json(
        folder / "generation_config.json",
        {**ends, "pad_token_id": ends["eos_token_id"], **sampling},
    )
    vocabulary.save(tokenizer, folder / "tokenizer.json")
    _json(
        folder / "tokenizer_config.json",
        vocabulary.configuration(tokenizer, model.shape.context),
    )
    _json(folder / "training.json", training)


def read(folder: Path) -> tuple[LanguageModel, Tokenizer]:
    """Read what `write` wrote."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = LanguageModel(
        Shape(
            vocabulary=config["vocab_size"],
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            kv_heads=config["num_key_value_heads"],
            ffn=config["intermediate_size"],
            context=config["max_position_embeddings"],
            theta=config["rope_theta"],
            epsilon=config["rms_norm_eps"],
        )
    )
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model, vocabulary.load(folder / "tokenizer.json")


def _configuration(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": HEAD,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "initializer_range": 0.02,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.theta,
        "tie_word_embeddings": True,
        "attention_dropout": 0.0,
        "use_cache": True,
        "use_sliding_window": False,
        "torch_dtype": "bfloat16",
    }


def _json(file: Path, value: Mapping[str, Any]) -> None:
    _whole(file, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def _whole(file: Path, content: bytes) -> None:
    """Write a file beside its name, and give it the name when it is on the disk."""
    part = file.with_name(file.name + ".part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
