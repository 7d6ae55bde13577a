"""A plain LSTM and its linear layer from elsewhere: `longlag import FILE --as lstm`.

    PyTorch, safetensors    a state_dict of `nn.LSTM(D, H)` and `nn.Linear(H, K)`, whatever they are
                            called: gates input, forget, candidate, output; both biases are summed
    ONNX                    a graph with one LSTM operator and one Gemm or MatMul behind it: gates
                            input, output, forget, candidate
    Keras                   a .weights.h5, an .h5 as Keras 2 writes it, or an .npz of
                            `numpy.savez(file, *model.get_weights())`: gates input, forget,
                            candidate, output; biases that are missing are zeros

What one layer of that form cannot express is refused with the reason.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import importlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from longlag import checks, files
from longlag.interop import MissingExtra, recognise
from longlag.learning.judging import on_fresh
from longlag.learning.recipe import Recipe
from longlag.learning.training import History, Run
from longlag.networks.network import flatten, sigmoid
from longlag.progress import ignore

SCORED = 2560  # fresh sequences that an imported network is scored on
OURS = "ifog"
KERAS, TORCH, ONNX = "ifgo", "ifgo", "iofg"


class Plain(NamedTuple):
    """An LSTM and its read-out: Wx (D, 4H), Wh (H, 4H), b (4H,), Wy (H, K), by (K,), float32; the
    gates in our order. assumed: what the file does not say, in a sentence."""

    Wx: np.ndarray
    Wh: np.ndarray
    b: np.ndarray
    Wy: np.ndarray
    by: np.ndarray
    assumed: str = ""


def read(path: str | os.PathLike[str], recipe: Recipe, tell: Callable[[str], None] = ignore) -> Run:
    """The network in a file as a run that was trained elsewhere.

    Args:
        recipe: its task and rules; it has as many cells as the file.
        tell: called with a sentence where something was assumed that the file does not say.

    Raises:
        ValueError: there is no such file, or its network cannot be expressed.
        MissingExtra: a library that is not installed.
        DamagedFile: a file that cannot be read.
    """
    path = files.readable(checks.path("path", path))
    data = path.read_bytes()
    try:
        with files.damage_named(path):
            plain = _reader(data)(data)
            run = _run(plain, recipe)
    except files.DamagedFile as error:
        cause = error.__cause__
        if isinstance(cause, MissingExtra):
            raise cause from None
        if type(cause) is ValueError:  # ours: a network that is another
            raise files.DamagedFile(f"{path} cannot be taken as an LSTM: {cause}") from cause
        raise
    if plain.assumed:
        tell(f"{path} {plain.assumed}")
    return run


def _run(plain: Plain, recipe: Recipe) -> Run:
    """The run; it has no history.

    Raises:
        ValueError: sizes that do not fit together or the task, or numbers that are not finite.
    """
    H, task = len(plain.Wy), recipe.task
    form = {"network": "lstm", "hidden": H, "forget_gate": True, "output": "linear"}
    made = recipe.with_settings(form)
    for name, shape in made.network.shapes(task).items():
        array = getattr(plain, name)
        if array.shape != shape:
            raise ValueError(
                f"its {name} has shape {array.shape}, and task {task.name} needs {shape} for {H} "
                f"cells, {task.inputs} inputs and {task.outputs} outputs"
            )
        if not np.all(np.isfinite(array)):
            raise ValueError(f"its {name} holds numbers that no finite float32 can be")
    network = made.network_of(flatten(plain[:5]).astype(np.float32))
    score = on_fresh(
        lambda inputs, lengths: network.predict(np.asarray(inputs), lengths), task.tested, SCORED, 0
    )
    return Run(
        recipe=made,
        seed=0,
        network=network,
        history=History(np.zeros(0), [], 0.0),
        score=score,
        stopped_by="imported",
        iterations=0,
        snapshots={},
        engine="numpy",
        isa=None,
    )


def _reader(data: bytes) -> Callable[[bytes], Plain]:
    if data.startswith(b"\x89HDF"):
        return _of_h5
    if data.startswith(b"PK\x03\x04"):
        return _reader_of_zip(data)
    try:
        return {"safetensors": _of_safetensors, "onnx": _of_onnx}[recognise(data)]
    except ValueError as error:
        raise ValueError(f"{error}, and with --as lstm Keras' .h5 and .npz") from error


def _reader_of_zip(data: bytes) -> Callable[[bytes], Plain]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError("it is a PyTorch file or an .npz that is cut short") from error
    if "model.weights.h5" in names:
        raise ValueError('it is a .keras archive: save model.save_weights("own.weights.h5")')
    return _of_npz if all(name.endswith(".npy") for name in names) else _of_torch


def _turned(array: np.ndarray, order: str) -> np.ndarray:
    """Columns (..., 4H) of gates in another order, in ours."""
    parts = dict(zip(order, np.split(array, 4, axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in OURS], axis=-1)


def _needed(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{what} needs {error.name}, which is not installed: pip install {error.name}"
        ) from error


# -- PyTorch --------------------------------------------------------------------------------------


def _of_torch(data: bytes) -> Plain:
    torch_file = _needed("longlag.interop.torch_file", "a PyTorch file")
    state = torch_file.load(data)
    if not isinstance(state, Mapping):
        raise ValueError("it holds no state_dict: save module.state_dict()")
    if "_extra_state" in state:
        raise ValueError("longlag export wrote it: import it without --as")
    if nested := [name for name, value in state.items() if isinstance(value, Mapping)]:
        raise ValueError(f"its state_dict is within {nested[0]!r}: save that alone")
    return _of_state(
        {str(k): _of_tensor(str(k), v) for k, v in state.items() if hasattr(v, "detach")}
    )


def _of_tensor(name: str, tensor: Any) -> np.ndarray:
    """A tensor of a state_dict, float32."""
    if not (tensor.is_floating_point() and str(tensor.layout) == "torch.strided"):
        dtype, layout = (str(word).removeprefix("torch.") for word in (tensor.dtype, tensor.layout))
        raise ValueError(f"its {name} holds {dtype}, {layout}, and dense real numbers are read")
    if tensor.is_meta:
        raise ValueError(f"its {name} holds no numbers: it was saved on PyTorch's device meta")
    return tensor.detach().float().numpy()


def _of_safetensors(data: bytes) -> Plain:
    safetensors = _needed("safetensors", "a safetensors file")
    try:
        held = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise ValueError("it is no safetensors file, or cut short") from error
    return _of_state({name: _widened(name, **tensor) for name, tensor in held})


def _widened(name: str, dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    """A tensor of a safetensors file, float32; numpy has no bfloat16, the upper half of one."""
    if dtype == "BF16":
        numbers = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif dtype in ("F16", "F32", "F64"):
        numbers = np.frombuffer(data, f"<f{int(dtype[1:]) // 8}").astype(np.float32)
    else:
        raise ValueError(f"its {name} holds {dtype}, and F32, F64, F16 and BF16 are read")
    return numbers.reshape(shape)


def _of_state(state: Mapping[str, np.ndarray]) -> Plain:
    """Of a state_dict's arrays, by the ends of their names; the bias of the linear layer is the one
    beside its weight."""
    for ending, what in (
        ("_reverse", "a bidirectional layer, which reads sequences backwards as well"),
        ("weight_hr_l0", "a projection, which our LSTM does not have"),
        ("weight_ih_l1", "several layers, and our LSTM has one"),
    ):
        if any(name.endswith(ending) for name in state):
            raise ValueError(f"its LSTM has {what}")
    if cells := [name for name in state if name.endswith("weight_ih")]:
        raise ValueError(
            f"it holds {cells[0]}, as nn.LSTMCell does, and --as lstm takes an nn.LSTM: one of one "
            f"layer has the same weights under the names {', '.join(OF_LAYER)}"
        )
    names = [_name_of(state, end) for end in OF_LAYER[:2]]
    Wx, Wh = (state[name].T for name in names)
    layer = names[0].removesuffix(OF_LAYER[0])
    biases = [state[layer + name] for name in OF_LAYER[2:] if layer + name in state]
    whole = Wx.ndim == Wh.ndim == 2 and len(Wh) > 0
    if not whole or any(bias.shape != Wx.shape[1:] for bias in biases):
        shapes = ", ".join(str(part.shape) for part in (Wx.T, Wh.T, *biases))
        raise ValueError(
            f"its LSTM has arrays of shapes {shapes}, and nn.LSTM's are (4H, D), (4H, H), (4H,) "
            "and (4H,)"
        )
    if Wx.shape[1] != 4 * len(Wh):
        kind = {3: "a GRU", 1: "a plain recurrent network"}.get(Wx.shape[1] // len(Wh), "no LSTM")
        raise ValueError(f"its weights are those of {kind}, and --as lstm takes an nn.LSTM")
    rest = {n: a for n, a in state.items() if n not in {layer + own for own in OF_LAYER}}
    with np.errstate(invalid="ignore", over="ignore"):  # refused with the other arrays
        b = sum(biases, np.zeros(Wx.shape[1], np.float32))
    answer = _name_of(rest, "weight")
    beside = answer.removesuffix("weight") + "bias"
    Wy = rest[answer].T
    by = rest.get(beside, np.zeros(Wy.shape[-1], np.float32))
    if more := ", ".join(rest.keys() - {answer, beside}):
        raise ValueError(f"it also holds {more}, which an LSTM and a linear layer do not have")
    return Plain(_turned(Wx, TORCH), _turned(Wh, TORCH), _turned(b, TORCH), Wy, by)


OF_LAYER = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def _name_of(state: Mapping[str, np.ndarray], ending: str) -> str:
    """The one name of that ending."""
    found = [name for name in state if name.endswith(ending)]
    if len(found) != 1:
        held = ", ".join(state) or "no arrays"
        raise ValueError(
            "it must hold one LSTM and one linear layer, so one name that ends in "
            f"{ending!r}, not {len(found)}: it holds {held:.200}"
        )
    return found[0]


# -- ONNX -----------------------------------------------------------------------------------------


def _of_onnx(data: bytes) -> Plain:
    onnx = _needed("onnx", "an ONNX file")
    onnx_file = _needed("longlag.interop.onnx_file", "an ONNX file")
    model = onnx_file.loaded(data)
    graph, held = model.graph, _constants(onnx, model)
    units = [node for node in graph.node if node.op_type == "LSTM"]
    if len(units) != 1:
        raise ValueError(f"its graph has {len(units)} LSTM operators, and must have one")
    (unit,) = units
    for attribute in unit.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if value != USUAL.get(attribute.name, value) or attribute.name == "clip":
            shown = f"{attribute.name} {value!r}".replace("b'", "'")
            raise ValueError(f"its LSTM operator has {shown}, which ours does not have")
    if len(unit.input) > 7 and unit.input[7]:
        raise ValueError("its LSTM operator has peepholes, which ours does not have")
    if moving := [name for name in unit.input[1:4] if name and name not in held]:
        raise ValueError(f"its LSTM operator's weights depend on the sequences: {moving[0]} does")
    W, R = (held[unit.input[k]][0].T for k in (1, 2))
    b = (
        held[unit.input[3]][0]
        if len(unit.input) > 3 and unit.input[3]
        else np.zeros(2 * W.shape[1])
    )
    b = np.sum(np.split(b.astype(np.float32), 2), axis=0)
    Wy, by = _onnx_answer(onnx, graph, held)
    plain = Plain(_turned(W, ONNX), _turned(R, ONNX), _turned(b, ONNX), Wy, by)
    _check_graph(onnx, model, plain, {*held})
    return plain


USUAL: dict[str, Any] = {  # attributes of ONNX's LSTM operator that say nothing new
    **{"direction": b"forward", "layout": 0, "input_forget": 0},
    "activations": [b"Sigmoid", b"Tanh", b"Tanh"],
}


def _constants(onnx: Any, model: Any) -> dict[str, np.ndarray]:
    """The arrays of a graph that do not depend on its input: the weights, even where operators
    bring them into the form that the LSTM operator takes, as without constant folding."""
    graph = model.graph
    names = {tensor.name for tensor in graph.initializer}
    fixed = []
    for node in graph.node:  # each stands behind those that it needs
        branches = any(one.HasField("g") or one.graphs for one in node.attribute)
        if not branches and names.issuperset(filter(None, node.input)):
            fixed.append(node)
            names.update(filter(None, node.output))
    part = onnx.helper.make_graph(fixed, "constants", [], [], graph.initializer)
    part = onnx.helper.make_model(part, opset_imports=model.opset_import, functions=model.functions)
    return dict(zip(names, _evaluated(part, [*names], {}), strict=True))


def _evaluated(model: Any, names: list[str] | None, given: Mapping[str, np.ndarray]) -> list[Any]:
    """What a graph computes; its outputs where no names are given."""
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator
    try:
        return evaluator(model).run(names, dict(given))
    except Exception as error:  # whatever an operator raises
        raise ValueError(f"its graph cannot be evaluated: {checks.shown(str(error))}") from error


def _check_graph(onnx: Any, model: Any, plain: Plain, held: set[str]) -> None:
    """Compares the graph's answers to a few sequences with those of the weights taken from it.

    Raises:
        ValueError: it has more inputs than sequences, cannot be evaluated here, or answers
            otherwise: it has another first state, say, or something behind the linear layer.
    """
    code = onnx.TensorProto
    widths = {code.FLOAT: np.float32, code.FLOAT16: np.float16, code.DOUBLE: np.float64}
    given = [one for one in model.graph.input if one.name not in held]
    kind = widths.get(given[0].type.tensor_type.elem_type) if len(given) == 1 else None
    if kind is None or len(shape := given[0].type.tensor_type.shape.dim) != 3:
        raise ValueError(
            "its graph must have one input, sequences (B, T, D) of float16, float32 or float64"
        )
    sizes = [dim.dim_value or size for dim, size in zip(shape, (2, 5, len(plain.Wx)), strict=True)]
    x = np.random.default_rng(0).standard_normal(sizes).astype(np.float32)
    answers = np.asarray(_evaluated(model, None, {given[0].name: x.astype(kind)})[0]).ravel()
    near = max(1e-5, 4 * float(np.finfo(kind).eps))  # of float16 its rounding
    possible = (_answers(plain, x), _answers(plain, x.swapaxes(0, 1)).swapaxes(0, 1))  # T first
    wanted = (possible[0], possible[0][:, -1], possible[1], possible[1][-1])
    if not any(
        answers.shape == want.ravel().shape
        and np.allclose(answers, want.ravel(), rtol=10 * near, atol=near)
        for want in wanted
    ):
        raise ValueError("its graph does not answer as its LSTM and its linear layer alone would")


def _answers(plain: Plain, x: np.ndarray) -> np.ndarray:
    """Of an LSTM with a linear layer, (B, T, D) to (B, T, K)."""
    h = c = np.zeros((len(x), len(plain.Wh)), np.float32)
    answers = []
    for step in x.swapaxes(0, 1):
        z = step @ plain.Wx + h @ plain.Wh + plain.b
        i, f, o, g = np.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        answers.append(h @ plain.Wy + plain.by)
    return np.stack(answers, axis=1)


def _onnx_answer(
    onnx: Any, graph: Any, held: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The linear layer's weights (H, K) and biases (K,)."""
    linear = [n for n in graph.node if n.op_type in ("Gemm", "MatMul")]
    found = [n for n in linear if n.input[0] not in held and held.keys() >= {*n.input[1:]}]
    if len(found) != 1:
        raise ValueError(f"its graph has {len(found)} linear layers behind the LSTM, not one")
    (node,) = found
    Wy = held[node.input[1]]
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    Wy = Wy.T if options.get("transB") else Wy
    if node.op_type == "Gemm":
        return Wy, held[node.input[2]] if len(node.input) > 2 else np.zeros(Wy.shape[1], "f4")
    added = [n for n in graph.node if n.op_type == "Add" and node.output[0] in n.input]
    biases = [held[name] for n in added for name in n.input if name in held]
    return Wy, biases[0] if biases else np.zeros(Wy.shape[1], "f4")


# -- Keras ----------------------------------------------------------------------------------------

ASSUMED = (
    "holds weights alone: taken to be an LSTM with activation tanh and recurrent activation "
    'sigmoid that reads forwards, and a Dense layer with activation linear; model.save("own.h5") '
    "writes these settings, too, and they are then checked"
)


def _of_npz(data: bytes) -> Plain:
    held = files.unpacked(data)
    if [*held] != [f"arr_{k}" for k in range(len(held))]:
        raise ValueError(
            f"it holds {', '.join(held):.100}, and must hold Keras' weights as "
            "numpy.savez(file, *model.get_weights()) writes them, arr_0, arr_1, ..."
        )
    return _of_keras([*held.values()])._replace(assumed=ASSUMED)


def _of_h5(data: bytes) -> Plain:
    h5py = _needed("h5py", "a Keras .h5 file")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            group = file.get("model_weights", file)
            config = file.attrs.get("model_config")
            if config is not None:
                _check_layers(json.loads(config))
            by_layer = "layer_names" in group.attrs
            plain = _of_keras(_of_layers(group) if by_layer else _of_variables(file, h5py.Dataset))
            return plain if config is not None else plain._replace(assumed=ASSUMED)
    except OSError as error:
        raise ValueError("it is no HDF5 file, or cut short") from error


def _of_variables(file: Any, kind: type) -> list[np.ndarray]:
    """The arrays in the layout of Keras 3, where they have numbers for names."""
    found: dict[str, list[np.ndarray]] = {"lstm": [], "answer": []}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, kind) and "/vars/" in f"/{name}" and "optimizer" not in name:
            found["lstm" if "/cell/" in name else "answer"].append(np.asarray(item))

    file.visititems(visit)
    return [*found["lstm"], *(a for a in found["answer"] if a.dtype.kind == "f")]


def _of_layers(group: Any) -> list[np.ndarray]:
    """The arrays in the layout of Keras 2, whose names and order attributes tell."""
    layers = [group[_text(name)] for name in group.attrs["layer_names"]]
    return [np.asarray(part[_text(n)]) for part in layers for n in part.attrs["weight_names"]]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _check_layers(config: Any) -> None:
    """Raises a ValueError where a layer of a saved model computes what ours does not."""
    for layer, options in _layers(config):
        if layer not in {*USUAL_LAYERS, *HARMLESS_LAYERS}:
            raise ValueError(
                f"its {layer} layer may change the answers, and an LSTM and a Dense layer are all "
                "that ours has: leave it out, or, where it changes nothing, save the weights "
                'alone, model.save_weights("own.weights.h5")'
            )
        for name, usual in USUAL_LAYERS.get(layer, {}).items():
            if options.get(name, usual) != usual:
                raise ValueError(
                    f"its {layer} layer has {name} {options[name]!r}, and ours has {usual!r}"
                )


GATED = {"activation": "tanh", "recurrent_activation": "sigmoid"}
USUAL_LAYERS: dict[str, dict[str, Any]] = {
    **{"LSTM": {**GATED, "go_backwards": False}, "RNN": {"go_backwards": False}, "LSTMCell": GATED},
    **{kind: {"activation": "linear"} for kind in ("Dense", "Activation")},
}
HARMLESS_LAYERS = {  # whatever their options
    *("Sequential", "Functional", "Model", "InputLayer", "TimeDistributed", "Flatten", "Reshape"),
    *("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    "Masking",  # taken to hide padding alone
}


def _layers(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The kinds and options of all layers in the configuration of a model, a wrapper or a layer."""
    config = model["config"]
    bare = isinstance(config, list)  # as in early versions of Keras 2
    parts = config if bare else config.get("layers", [])
    for part in [*parts, *(config[name] for name in ("layer", "cell") if name in config)]:
        yield str(part["class_name"]), {} if isinstance(part["config"], list) else part["config"]
        yield from _layers(part)


def _of_keras(arrays: list[np.ndarray]) -> Plain:
    """Of kernel, recurrent kernel and bias of the LSTM, then kernel and bias of the Dense layer."""
    whole = _with_biases(arrays)
    if [array.ndim for array in whole] == [2, 2, 1, 2, 1]:
        Wx, Wh, b, Wy, by = (np.asarray(array, np.float32) for array in whole)
        H, K = len(Wh), Wy.shape[1]
        if Wx.shape[1] == Wh.shape[1] == len(b) == 4 * H and len(Wy) == H and len(by) == K:
            return Plain(_turned(Wx, KERAS), _turned(Wh, KERAS), _turned(b, KERAS), Wy, by)
    shapes = ", ".join(str(array.shape) for array in arrays) or "nothing"
    raise ValueError(
        "it must hold the kernel (D, 4H), recurrent kernel (H, 4H) and bias (4H,) of an LSTM, then "
        "the kernel (H, K) and bias (K,) of a Dense layer, with or without either bias, and holds "
        f"{shapes}"
    )


def _with_biases(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays with zeros for the bias of a layer that has none, use_bias=False."""
    whole = [*arrays]
    if [array.ndim for array in whole[:3]] == [2, 2, 2]:
        whole.insert(2, np.zeros(whole[1].shape[1], np.float32))
    if len(whole) == 4 and whole[3].ndim == 2:
        whole.append(np.zeros(whole[3].shape[1], np.float32))
    return whole
