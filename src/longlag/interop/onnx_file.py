"""ONNX: a graph around one LSTM operator, the metadata its properties.

    inputs (B, T, 2) float32, lengths (B,) int64   →   answers (B,) float32

The operator's gate order is input, output, forget, candidate, and its state after each sequence's
own last step is what the answer is read from.

A forget gate that is fixed at 1 is refused: the operator always learns one. With zero weights and
a bias of 40 its sigmoid would round to 1, but that is a learned gate with other weights, from which
the run could not be read back.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message
from onnx import TensorProto, helper, numpy_helper

from longlag.interop import metadata
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM

GATE_ORDER = "input, output, forget, candidate"
OPSET, IR_VERSION = 17, 8
NAMES = ("W", "R", "B", "Wy", "by")


def encode(run: Run) -> bytes:
    """The content of an .onnx file.

    Raises:
        ValueError: the forget gate is fixed.
    """
    network = metadata.modern(run)
    if not network.forget_gate:
        raise ValueError(
            "ONNX cannot express a forget gate fixed at 1: its LSTM operator always learns one; "
            "export to safetensors or torch"
        )
    model = _model(network, metadata.describe(run, GATE_ORDER))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def decode(data: bytes) -> Run:
    """The run in an .onnx file.

    Raises:
        ValueError, LookupError, TypeError: it holds none.
    """
    model = loaded(data)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    metadata.check(texts, GATE_ORDER)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    W, R, B, Wy, by = (arrays[name] for name in NAMES)
    weights = {
        "Wx": _reordered(W[0]).T,
        "Wh": _reordered(R[0]).T,
        "b": _reordered(B[0, : B.shape[1] // 2]),
        "Wy": Wy,
        "by": by,
    }
    run = metadata.assemble(texts, {name: array.copy() for name, array in weights.items()})
    network = metadata.modern(run)
    if model != _model(network, texts):
        raise ValueError("its graph is not that of an exported network")
    return run


def _model(network: LSTM, texts: metadata.Metadata) -> onnx.ModelProto:
    model = helper.make_model(
        _graph(network),
        producer_name="longlag",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, dict(texts))
    return model


def _graph(network: LSTM) -> onnx.GraphProto:
    p, H = network.parameters, network.hidden
    bias = np.concatenate([_reordered(p.b), np.zeros(4 * H, np.float32)])
    arrays = (_reordered(p.Wx.T)[None], _reordered(p.Wh.T)[None], bias[None], p.Wy, p.by)
    squashed = network.output == "sigmoid"
    nodes = [
        helper.make_node("Transpose", ["inputs"], ["steps"], perm=[1, 0, 2]),  # (T, B, 2)
        helper.make_node("Cast", ["lengths"], ["lens"], to=TensorProto.INT32),
        helper.make_node(
            "LSTM", ["steps", "W", "R", "B", "lens"], ["", "last"], hidden_size=H
        ),  # last: (1, B, H)
        helper.make_node("Squeeze", ["last", "first"], ["state"]),
        helper.make_node("Gemm", ["state", "Wy", "by"], ["column"]),  # (B, 1)
        helper.make_node("Squeeze", ["column", "second"], ["sums" if squashed else "answers"]),
        *([helper.make_node("Sigmoid", ["sums"], ["answers"])] if squashed else []),
    ]
    return helper.make_graph(
        nodes,
        "longlag",
        inputs=[
            helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["B", "T", 2]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["B"]),
        ],
        outputs=[helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["B"])],
        initializer=[
            *(numpy_helper.from_array(a, n) for n, a in zip(NAMES, arrays, strict=True)),
            *(numpy_helper.from_array(np.array([k]), n) for k, n in enumerate(("first", "second"))),
        ],
    )


def loaded(data: bytes) -> onnx.ModelProto:
    """The model in an .onnx file.

    Raises:
        ValueError: there is none, or numbers of it lie in another file.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError("it is no ONNX model, or cut short") from error
    _check_whole(model)
    return model


def _check_whole(message: Message) -> None:
    """Raises a ValueError where a tensor, however deep, lies in another file: onnx would open it
    where the graph is evaluated."""
    if isinstance(message, TensorProto) and message.data_location == TensorProto.EXTERNAL:
        raise ValueError(
            f"{message.name} lies in another file, which is not opened: export with all weights in "
            "one file, as torch.onnx.export(..., external_data=False) or dynamo=False does"
        )
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                _check_whole(part)


def _reordered(rows: np.ndarray) -> np.ndarray:
    """Gate rows i, f, o, g in ONNX's order i, o, f, g; done twice, as they were."""
    i, second, third, g = np.split(rows, 4)
    return np.ascontiguousarray(np.concatenate([i, third, second, g]))
