"""Plain LSTMs from elsewhere: they answer as they did there."""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longlag import cli, figures, interop, notebook
from longlag.explorer import content
from longlag.figures import pred_vs_target
from longlag.files import DamagedFile
from longlag.interop import MissingExtra, plain
from longlag.learning.recipe import recipe
from longlag.runs import directory as runs

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

SHORT = recipe("robust", task="adding", min_length=12)


class Own(nn.Module):
    """As anybody writes it; answers are read at the last step of all."""

    def __init__(self, D: int = 2, H: int = 5, K: int = 1, **options: Any) -> None:
        super().__init__()
        self.rnn = nn.LSTM(D, H, batch_first=True, **options)
        self.head = nn.Linear(H, K)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0][:, -1])


class Every(Own):
    """Read at every step."""

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0])


def module(**options: Any) -> Own:
    torch.manual_seed(3)
    return Own(**options)


def check(path: Path, own: Own) -> None:
    """The file's network gives the module's answers."""
    run = plain.read(path, SHORT)
    x = np.random.default_rng(0).random((6, 12, 2), np.float32)
    want = own(torch.from_numpy(x)).detach().numpy()[:, 0]
    np.testing.assert_allclose(run.network.predict(x), want, rtol=1e-5, atol=1e-6)
    assert run.score.n == plain.SCORED


def test_a_state_dict(tmp_path: Path) -> None:
    own = module()
    torch.save(own.state_dict(), tmp_path / "own.pt")
    check(tmp_path / "own.pt", own)


def test_a_state_dict_as_safetensors(tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    own = module(bias=False)
    save(own.state_dict(), tmp_path / "own.safetensors")
    check(tmp_path / "own.safetensors", own)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_widths_are_widened_exactly(tmp_path: Path, dtype: Any) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    own = module().to(dtype)
    save(own.state_dict(), tmp_path / "own.safetensors")
    check(tmp_path / "own.safetensors", own.float())
    if dtype == torch.bfloat16:
        with pytest.raises(DamagedFile, match=r"of type 'BF16', which no export has; .* --as"):
            interop.read(tmp_path / "own.safetensors")
    torch.save(own.to(dtype).state_dict(), tmp_path / "own.pt")
    for name in ("own.safetensors", "own.pt"):
        by = plain.read(tmp_path / name, SHORT).weights["by"]
        np.testing.assert_array_equal(by, own.head.bias.detach().float().numpy())


def test_tensors_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    state = module().state_dict() | {"head.bias": torch.zeros(1, dtype=torch.int8)}
    save(state, tmp_path / "own.safetensors")
    with pytest.raises(DamagedFile, match=r"its head\.bias holds I8, and F32, F64, F16 and BF16"):
        plain.read(tmp_path / "own.safetensors", SHORT)


@pytest.mark.parametrize("folded", [True, False])
def test_what_pytorch_exports_to_onnx(tmp_path: Path, folded: bool) -> None:
    pytest.importorskip("onnx")
    own, path = module(), tmp_path / "own.onnx"
    options = {"dynamo": False, "do_constant_folding": folded}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter needs no further package
        torch.onnx.export(own.eval(), (torch.rand(1, 12, 2),), str(path), **options)
    check(path, own)


def test_what_pytorchs_new_exporter_writes_by_default_is_refused_with_the_way_out(
    tmp_path: Path,
) -> None:
    own, path = module(), tmp_path / "own.onnx"
    exported_anew(own, path)
    assert (tmp_path / "own.onnx.data").exists()
    with pytest.raises(
        DamagedFile, match=r"in another file, .* external_data=False\) or dynamo=Fal"
    ):
        plain.read(path, SHORT)
    exported_anew(own, path, external_data=False)
    check(path, own)
    onnx = pytest.importorskip("onnx")
    theirs, ours = onnx.load(path).graph, graph_of_the_new_exporter(own).graph
    assert [node.op_type for node in theirs.node] == [node.op_type for node in ours.node]
    exported_anew(own, path, external_data=False, optimize=False)
    check(path, own)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_graph_of_another_width(tmp_path: Path, dtype: Any) -> None:
    pytest.importorskip("onnx")
    own = module().to(dtype)
    every = Every().to(dtype)
    every.load_state_dict(own.state_dict())
    for name, made in {"own": every, "squashed": nn.Sequential(every, nn.Sigmoid())}.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = (torch.rand(1, 12, 2, dtype=dtype),)
            torch.onnx.export(made.eval(), given, str(tmp_path / f"{name}.onnx"), dynamo=False)
    check(tmp_path / "own.onnx", own.float())
    with pytest.raises(DamagedFile, match="does not answer as its LSTM"):
        plain.read(tmp_path / "squashed.onnx", SHORT)


def exported_anew(own: Own, path: Path, **options: Any) -> None:
    pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = (torch.rand(1, 12, 2),)
        torch.onnx.export(own.eval(), given, str(path), dynamo=True, verbose=False, **options)


@pytest.mark.parametrize("bias", [True, False])
def test_a_graph_as_pytorchs_new_exporter_makes_it(tmp_path: Path, bias: bool) -> None:
    own = module(bias=bias)
    data = graph_of_the_new_exporter(own).SerializeToString()
    (tmp_path / "own.onnx").write_bytes(data)
    check(tmp_path / "own.onnx", own)


def graph_of_the_new_exporter(own: Own) -> Any:
    """The same graph as of `torch.onnx.export(..., dynamo=True)`, of 12 steps of one sequence."""
    helper = pytest.importorskip("onnx.helper")
    numpy_helper = pytest.importorskip("onnx.numpy_helper")
    p = {name: parameter.detach().numpy() for name, parameter in own.named_parameters()}

    def reordered(rows: np.ndarray) -> np.ndarray:
        i, f, g, o = np.split(rows, 4)
        return np.concatenate([i, o, f, g])

    held = {name: reordered(p[f"rnn.weight_{name}_l0"])[None] for name in ("ih", "hh")}
    held |= {"Wy": p["head.weight"], "by": p["head.bias"], "zero": np.zeros((1, 1, 5), "f4")}
    held |= {"shape": np.array([12, 1, 5]), "last": np.array(-1)}
    if "rnn.bias_ih_l0" in p:
        both = [reordered(p[f"rnn.bias_{name}_l0"]) for name in ("ih", "hh")]
        held["b"] = np.concatenate(both)[None]
    given = ["steps", "ih", "hh", "b" if "b" in held else "", "", "zero", "zero"]
    options = {"direction": "forward", "hidden_size": 5, "input_forget": 0, "layout": 0}
    whole = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", given, ["states"], **options),  # (T, 1, B, H)
        helper.make_node("Transpose", ["states"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "shape"], ["flat"], allowzero=0),
        helper.make_node("Transpose", ["flat"], ["first"], perm=[1, 0, 2]),
        helper.make_node("Gather", ["first", "last"], ["state"], axis=1),
        helper.make_node("Gemm", ["state", "Wy", "by"], ["linear"], **whole),
    ]
    graph = helper.make_graph(
        nodes,
        "main_graph",
        inputs=[helper.make_tensor_value_info("x", 1, [1, 12, 2])],  # 1: float32
        outputs=[helper.make_tensor_value_info("linear", 1, [1, 1])],
        initializer=[numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def exported(tmp_path: Path) -> Any:
    """The graph that PyTorch exports, to be changed."""
    onnx = pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = tmp_path / "own.onnx"
        torch.onnx.export(module().eval(), (torch.rand(1, 12, 2),), str(path), dynamo=False)
    return onnx.load(path)


def _squashed(graph: Any, onnx: Any) -> None:
    end = graph.output[0].name
    graph.node[-1].output[0] = "before"
    graph.node.append(onnx.helper.make_node("Sigmoid", ["before"], [end]))


def _reversed(graph: Any, onnx: Any) -> None:
    _set(graph, onnx, "LSTM", "direction", "reverse")


def _tripled(graph: Any, onnx: Any) -> None:
    _set(graph, onnx, "Gemm", "alpha", 3.0)


def _started(graph: Any, onnx: Any) -> None:
    (unit,) = (node for node in graph.node if node.op_type == "LSTM")
    state = np.ones((1, 1, 5), np.float32)
    graph.initializer.append(onnx.numpy_helper.from_array(state, "elsewhere"))
    unit.input[5] = "elsewhere"


def _weighed_by_its_input(graph: Any, onnx: Any) -> None:
    """With an LSTM whose weights depend on the sequences."""
    (unit,) = (node for node in graph.node if node.op_type == "LSTM")
    node, weights = onnx.helper.make_node, unit.input[1]
    graph.node.insert(0, node("ReduceMax", [graph.input[0].name], ["largest"], keepdims=0))
    graph.node.insert(1, node("Mul", [weights, "largest"], ["moving"]))
    unit.input[1] = "moving"


def _with_a_constant_of_whole_numbers(graph: Any, onnx: Any) -> None:
    """As the new exporter writes it, optimize=False: no tensor, but a list."""
    graph.node.insert(0, onnx.helper.make_node("Constant", [], ["two"], value_ints=[2, 2]))


def _elsewhere(graph: Any, onnx: Any) -> None:
    _point_elsewhere(graph.initializer[0], onnx)


def _elsewhere_inside(graph: Any, onnx: Any) -> None:
    """In a branch of the graph, which is opened when the graph is evaluated."""
    tensor = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "deep")
    _point_elsewhere(tensor, onnx)
    helper, end = onnx.helper, graph.output[0].name
    graph.node[-1].output[0] = "before"
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["deep"], value=tensor)],
        "branch",
        inputs=[],
        outputs=[helper.make_tensor_value_info("deep", 1, [1])],
    )
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    graph.node.append(
        helper.make_node("If", ["yes"], ["more"], then_branch=branch, else_branch=branch)
    )
    graph.node.append(helper.make_node("Add", ["before", "more"], [end]))


def _point_elsewhere(tensor: Any, onnx: Any) -> None:
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="secret")
    tensor.data_location = onnx.TensorProto.EXTERNAL


def _said(graph: Any, onnx: Any) -> None:
    """What is so anyway."""
    usual = {"activations": ["Sigmoid", "Tanh", "Tanh"], "layout": 0, "input_forget": 0}
    for name, value in {**usual, "direction": "forward"}.items():
        _set(graph, onnx, "LSTM", name, value)


def _set(graph: Any, onnx: Any, kind: str, name: str, value: Any) -> None:
    for node in graph.node:
        if node.op_type == kind:
            others = [one for one in node.attribute if one.name != name]
            del node.attribute[:]
            node.attribute.extend([*others, onnx.helper.make_attribute(name, value)])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_squashed, "does not answer as its LSTM and its linear layer alone"),
        (_reversed, "its LSTM operator has direction 'reverse'"),
        (_tripled, "does not answer as its LSTM and its linear layer alone"),
        (_started, "does not answer as its LSTM and its linear layer alone"),
        (_elsewhere, r"lies in another file, .* torch\.onnx\.export\(\.\.\., external_data=False"),
        (_elsewhere_inside, "deep lies in another file, which is not opened"),
        (_weighed_by_its_input, "LSTM operator's weights depend on the sequences: moving does"),
        (_with_a_constant_of_whole_numbers, ""),
        (_said, ""),
    ],
)
def test_a_graph_that_does_more_is_refused(tmp_path: Path, change: Any, says: str) -> None:
    model = exported(tmp_path)
    change(model.graph, pytest.importorskip("onnx"))
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    if says:
        with pytest.raises(DamagedFile, match=says):
            plain.read(tmp_path / "own.onnx", SHORT)
    else:
        check(tmp_path / "own.onnx", module())


@pytest.mark.parametrize("task", ["long-lag", "adding"])
def test_it_has_a_forget_gate_and_a_linear_answer_whatever_the_task(
    tmp_path: Path, task: str
) -> None:
    made = recipe("robust", task=task)
    own = module(D=made.task.inputs, K=made.task.outputs)
    torch.save(own.state_dict(), tmp_path / "own.pt")
    settings = plain.read(tmp_path / "own.pt", made).recipe.settings()
    assert settings["forget_gate"] is True
    assert settings["output"] == "linear"


def test_biases_go_with_their_own_weights(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_bias = nn.Parameter(torch.tensor([7.0]))
            self.rnn = nn.LSTM(2, 5, batch_first=True)
            self.out = nn.Linear(5, 1)

    own = Named()
    torch.save(own.state_dict(), tmp_path / "own.pt")
    with pytest.raises(DamagedFile, match="it also holds gate_bias, which an LSTM and a linear"):
        plain.read(tmp_path / "own.pt", SHORT)
    del own.gate_bias
    torch.save(own.state_dict(), tmp_path / "own.pt")
    by = dict(plain.read(tmp_path / "own.pt", SHORT).weights)["by"]
    np.testing.assert_array_equal(by, own.out.bias.detach().numpy())


def keras(own: Own) -> list[np.ndarray]:
    """The arrays that Keras' get_weights() gives of the same network."""
    p = {name: parameter.detach().numpy() for name, parameter in own.named_parameters()}
    bias = p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"]  # both have the order i, f, c, o
    matrices = [p[name].T for name in ("rnn.weight_ih_l0", "rnn.weight_hh_l0")]
    return [*matrices, bias, p["head.weight"].T, p["head.bias"]]


def test_keras_arrays(tmp_path: Path) -> None:
    own = module()
    np.savez(tmp_path / "own.npz", *keras(own))
    check(tmp_path / "own.npz", own)


def test_keras_weights(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    own = module()
    names = [f"layers/lstm/cell/vars/{k}" for k in range(3)]
    names += [f"layers/dense/vars/{k}" for k in range(2)]
    with h5py.File(tmp_path / "own.weights.h5", "w") as file:
        for name, array in zip(names, keras(own), strict=True):
            file[name] = array
        file["layers/lstm/vars/seed"] = np.arange(2)
        file["optimizer/vars/0"] = np.zeros(3)
    check(tmp_path / "own.weights.h5", own)


def saved_by_keras_2(path: Path, own: Own, place: str = "", config: str = "") -> Path:
    """The layout of `model.save_weights`, or in model_weights and with a config of `model.save`."""
    h5py = pytest.importorskip("h5py")
    of = {"lstm": ("lstm_cell/kernel:0", "lstm_cell/recurrent_kernel:0", "lstm_cell/bias:0")}
    arrays = iter(keras(own))
    with h5py.File(path, "w") as file:
        group = file.require_group(place) if place else file
        group.attrs["layer_names"] = np.array([b"input", b"lstm", b"dense"])
        for layer in ("input", "lstm", "dense"):
            names = {**of, "dense": ("kernel:0", "bias:0")}.get(layer, ())
            part = group.create_group(layer)
            part.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in names]
            for name in names:
                part[f"{layer}/{name}"] = next(arrays)
        if config:
            file.attrs["model_config"] = config
            file["optimizer_weights/Adam/m:0"] = np.zeros(3)
    return path


def test_keras_2_weights_and_models(tmp_path: Path) -> None:
    own = module()
    check(saved_by_keras_2(tmp_path / "own.h5", own), own)
    dense: dict[str, Any] = {"class_name": "Dense", "config": {"activation": "linear"}}
    options = {"activation": "tanh", "recurrent_activation": "sigmoid", "units": 5}
    lstm: dict[str, Any] = {"class_name": "LSTM", "config": options}
    model = {"class_name": "Sequential", "config": {"name": "own", "layers": [lstm, dense]}}
    path = tmp_path / "model.h5"
    check(saved_by_keras_2(path, own, "model_weights", json.dumps(model)), own)
    layers = model["config"]["layers"]
    layers.append({"class_name": "Activation", "config": {"activation": "softmax"}})
    saved_by_keras_2(path, own, "model_weights", json.dumps(model))
    with pytest.raises(DamagedFile, match="its Activation layer has activation 'softmax', and our"):
        plain.read(path, SHORT)
    del layers[-1]
    options["recurrent_activation"] = "hard_sigmoid"
    saved_by_keras_2(path, own, "model_weights", json.dumps(model))
    says = "its LSTM layer has recurrent_activation 'hard_sigmoid', and ours has 'sigmoid'"
    with pytest.raises(DamagedFile, match=says):
        plain.read(path, SHORT)


def layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": config}


LSTM, DENSE = layer("LSTM", units=5), layer("Dense", kernel_initializer=layer("GlorotUniform"))


@pytest.mark.parametrize(
    ("layers", "refused"),
    [
        ([LSTM, DENSE, layer("Softmax", axis=-1)], "Softmax"),
        ([LSTM, DENSE, layer("LeakyReLU")], "LeakyReLU"),
        ([LSTM, DENSE, layer("Rescaling", scale=3.0)], "Rescaling"),
        ([LSTM, layer("UnitNormalization"), DENSE], "UnitNormalization"),
        ([LSTM, layer("Sequential", layers=[DENSE, layer("Softmax")])], "Softmax"),
        ([LSTM, layer("Sequential") | {"config": [DENSE, layer("Softmax")]}], "Softmax"),
        ([layer("Bidirectional", layer=LSTM), DENSE], "Bidirectional"),
        ([layer("InputLayer"), layer("Masking"), LSTM, layer("Dropout"), DENSE], ""),
        ([LSTM, layer("TimeDistributed", layer=DENSE), layer("Flatten")], ""),
        ([layer("RNN", cell=layer("LSTMCell")), DENSE, layer("Reshape")], ""),
    ],
)
def test_layers_of_a_keras_model_that_change_the_answers_are_refused(
    tmp_path: Path, layers: list[Any], refused: str
) -> None:
    own, config = module(), json.dumps(layer("Functional", layers=layers))
    path = saved_by_keras_2(tmp_path / "model.h5", own, "model_weights", config)
    if not refused:
        check(path, own)
        return
    with pytest.raises(DamagedFile, match=f"its {refused} layer may change the answers, .*: leave"):
        plain.read(path, SHORT)


@pytest.mark.parametrize("missing", [(2,), (4,), (2, 4)])
def test_keras_layers_without_a_bias_have_zeros(tmp_path: Path, missing: tuple[int, ...]) -> None:
    h5py = pytest.importorskip("h5py")
    own = module()
    arrays = [array for k, array in enumerate(keras(own)) if k not in missing]
    for k, biases in ((2, (own.rnn.bias_ih_l0, own.rnn.bias_hh_l0)), (4, (own.head.bias,))):
        for bias in biases if k in missing else ():
            nn.init.zeros_(bias)
    np.savez(tmp_path / "own.npz", *arrays)
    check(tmp_path / "own.npz", own)
    inside = 2 if 2 in missing else 3
    with h5py.File(tmp_path / "own.weights.h5", "w") as file:
        for k, array in enumerate(arrays):
            cell = k < inside
            name = f"lstm/cell/vars/{k}" if cell else f"dense/vars/{k - inside}"
            file[f"layers/{name}"] = array
    check(tmp_path / "own.weights.h5", own)


def test_keras_arrays_of_other_layers_are_refused() -> None:
    Wx, Wh, b, Wy, by = keras(module())
    gru = [np.zeros((2, 15)), np.zeros((5, 15)), np.zeros(15)]
    for arrays in (
        [],
        [Wx, Wh, b],
        [Wx, Wh, b[:5], Wy],  # a scale of states (5,) is no bias of gates (20,)
        [Wx[:, :5], Wh, b, Wy, by],
        [Wx, Wh, b, Wy[:4], by],
        [Wx, Wh, b, Wy, b],
        [Wx, Wh, Wx, Wh, Wy],  # two layers
        [Wx, Wh, Wy, by, by],
        [*gru, Wy, by],
        [*gru[:2], Wy],
    ):
        with pytest.raises(ValueError, match=r"it must hold the kernel .* with or without either"):
            plain._of_keras(arrays)


@pytest.mark.parametrize("kind", ["npz", "weights.h5", "h5"])
def test_what_keras_weights_do_not_tell_is_said(tmp_path: Path, kind: str, capsys: Any) -> None:
    own, path = module(), tmp_path / f"own.{kind}"
    if kind == "npz":
        np.savez(path, *keras(own))
    elif kind == "weights.h5":
        saved_by_keras_2(path, own)
    else:
        lstm = {"class_name": "LSTM", "config": {"activation": "tanh", "go_backwards": False}}
        saved_by_keras_2(path, own, "model_weights", json.dumps({"config": {"layers": [lstm]}}))
    words = [
        "import",
        str(path),
        "--as",
        "lstm",
        "--task",
        "adding",
        "--out",
        str(tmp_path / "run"),
    ]
    assert cli.main(words) == 0
    told = capsys.readouterr().err
    if kind == "h5":
        assert "weights alone" not in told
        return
    (line,) = [line for line in told.splitlines() if "holds weights alone" in line]
    assert line.startswith(f"{path} holds")
    for word in ("activation tanh", "recurrent activation sigmoid", "forwards", "linear"):
        assert word in line


def files_of_all_kinds(tmp_path: Path) -> dict[str, bytes]:
    """A network in each of the formats."""
    own = module()
    torch.save(own.state_dict(), tmp_path / "own.pt")
    pytest.importorskip("safetensors.torch").save_file(own.state_dict(), tmp_path / "own.st")
    np.savez(tmp_path / "own.npz", *keras(own))
    saved_by_keras_2(tmp_path / "own.h5", own)
    (tmp_path / "own.onnx").write_bytes(exported(tmp_path).SerializeToString())
    return {
        end: (tmp_path / f"own.{end}").read_bytes() for end in ("pt", "st", "npz", "h5", "onnx")
    }


def test_files_that_are_cut_short_or_something_else_are_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    keras_3 = io.BytesIO()
    with zipfile.ZipFile(keras_3, "w") as archive:
        archive.writestr("model.weights.h5", b"")
    given = {"a picture": b"\x89PNG\r\n", "text": b"hello", "brace": b"\x10" + 7 * b"\0" + b"{}"}
    given["a .keras archive"] = keras_3.getvalue()
    for end, data in files_of_all_kinds(tmp_path).items():
        sizes = (0, 1, 4, 10, 60, len(data) // 2, len(data) - 1)
        given |= {f"{n} bytes of .{end}": data[:n] for n in sizes}
    for what, data in given.items():
        (tmp_path / "cut").write_bytes(data)
        with pytest.raises(DamagedFile, match="cut cannot be taken as an LSTM: it is") as caught:
            plain.read(tmp_path / "cut", SHORT)
        assert "\n" not in str(caught.value), what


class Nested(nn.Module):
    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"epoch": 3, "model": module().state_dict()}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: module(num_layers=2), "several layers, and our LSTM has one"),
        (lambda: module(bidirectional=True), "a bidirectional layer"),
        (lambda: module(proj_size=2), "a projection"),
        (lambda: module(D=3), r"Wx has shape \(3, 20\), and task adding needs \(2, 20\)"),
        (lambda: nn.ModuleList([nn.GRU(2, 5), nn.Linear(5, 1)]), "those of a GRU"),
        (lambda: nn.ModuleList([module(), nn.Linear(5, 1)]), "one LSTM and one linear layer"),
        (
            lambda: nn.ModuleList([nn.LSTMCell(2, 5), nn.Linear(5, 1)]),
            "it holds 0.weight_ih, as nn.LSTMCell does, .* under the names weight_ih_l0, ",
        ),
        (lambda: nn.Linear(2, 1), "one LSTM and one linear layer"),
        (lambda: Nested(), "its state_dict is within 'model': save that alone"),
    ],
)
def test_what_cannot_be_expressed_is_refused_with_the_reason(
    tmp_path: Path, make: Any, says: str
) -> None:
    torch.save(make().state_dict(), tmp_path / "own.pt")
    with pytest.raises(DamagedFile, match=f"cannot be taken as an LSTM: .*{says}") as caught:
        plain.read(tmp_path / "own.pt", SHORT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("rnn.weight_hh_l0", lambda t: t.to(torch.complex64), "holds complex64, strided, and den"),
        ("head.bias", lambda t: t.long(), "its head.bias holds int64, strided, and dense real"),
        ("rnn.weight_ih_l0", lambda t: t.to_sparse(), "holds float32, sparse_coo, and dense real"),
        ("head.weight", lambda t: t.to("meta"), "its head.weight holds no numbers"),
        (
            "rnn.bias_hh_l0",
            lambda t: t[:7],
            r"shapes \(20, 2\), \(20, 5\), \(20,\), \(7,\), and nn",
        ),
        (
            "rnn.weight_hh_l0",
            lambda t: t[:0, :0],
            r"shapes \(20, 2\), \(0, 0\), \(20,\), \(20,\), a",
        ),
        (
            "rnn.weight_hh_l0",
            lambda t: t[:, 0],
            r"shapes \(20, 2\), \(20,\), \(20,\), \(20,\), and",
        ),
    ],
)
def test_arrays_that_no_layer_has_are_named(
    tmp_path: Path, name: str, change: Any, says: str
) -> None:
    state = module().state_dict()
    torch.save(state | {name: change(state[name])}, tmp_path / "own.pt")
    with pytest.raises(DamagedFile, match=f"cannot be taken as an LSTM: .*{says}"):
        plain.read(tmp_path / "own.pt", SHORT)


def test_a_whole_module_is_refused_with_what_to_save(tmp_path: Path) -> None:
    torch.save(module(), tmp_path / "own.pt")
    with pytest.raises(DamagedFile, match=r"cannot be taken .*: save a state_dict, torch.save\("):
        plain.read(tmp_path / "own.pt", SHORT)


def test_the_command_makes_a_run_that_is_judged_drawn_and_explored(
    tmp_path: Path, capsys: Any
) -> None:
    torch.save(module().state_dict(), tmp_path / "own.pt")
    run = str(tmp_path / "run")
    words = ("import", str(tmp_path / "own.pt"), "--as", "lstm", "--task", "adding")
    assert cli.main([*words, "--min-length", "12", "--out", run]) == 0
    assert "imported, 5 cells: trained elsewhere" in capsys.readouterr().out
    assert cli.main(["evaluate", run, "--n", "50"]) == 0
    assert cli.main(["figures", run]) == 0
    assert cli.main(["explore", run]) == 0
    torch.save(Own().state_dict(), tmp_path / "other.pt")
    other = [*words[:1], str(tmp_path / "other.pt"), *words[2:], "--min-length", "12", "--out", run]
    assert cli.main([*words, "--min-length", "12", "--out", run]) == 0  # the same once more
    capsys.readouterr()
    assert cli.main(other) == 2
    assert "holds a network with other weights" in capsys.readouterr().err
    assert cli.main([*other, "--overwrite"]) == 0
    capsys.readouterr()
    assert cli.main(["import", str(tmp_path / "own.pt"), "--task", "adding", "--out", run]) == 2
    assert "--task and lengths need --as lstm" in capsys.readouterr().err


def test_no_training_is_claimed_of_an_imported_network(tmp_path: Path, capsys: Any) -> None:
    torch.save(module().state_dict(), tmp_path / "own.pt")
    run = plain.read(tmp_path / "own.pt", SHORT)
    interop.write(run, tmp_path / "own.safetensors", "safetensors")
    runs.put(run, tmp_path / "run")
    for same in (run, interop.read(tmp_path / "own.safetensors"), runs.load(tmp_path / "run")):
        assert repr(same).startswith("Run(imported, 5 cells, RMSE ")
        written = {path.name for path in figures.write_figures(same, tmp_path / "figures")}
        assert written == {"sample_sequences.png", "cell_state.png", "pred_vs_target.png"}
        card = notebook.run(same)
        assert "trained elsewhere" in card
        assert "training sequences" not in card
        (shown,) = content.of({"own": same})["runs"]
        assert shown["curve"] is None
        assert shown["about"].endswith("trained elsewhere")
        assert shown["notes"] == ["This network was imported: how it learned is not known."]
        drawn = pred_vs_target.draw(same)
        assert not any("trained on" in text.get_text() for text in drawn.texts)
    path = str(tmp_path / "run")
    assert cli.main(["compare", path, path, "--n", "20"]) == 0
    out = capsys.readouterr().out
    assert "not known" in out
    assert "learning_rate" not in out
    assert cli.main(["evaluate", path, "--n", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stopped_by"] == "imported"


def test_longlags_own_files_are_not_taken_as_anothers(tmp_path: Path) -> None:
    """The gates of weights.npz stand in another order than Keras' do."""
    torch.save(module().state_dict(), tmp_path / "plain.pt")
    run = plain.read(tmp_path / "plain.pt", SHORT)
    runs.put(run, tmp_path / "run")
    interop.write(run, tmp_path / "own.pt", "torch")
    with pytest.raises(DamagedFile, match="it holds Wx, Wh, b, Wy, by, and must hold Keras' weig"):
        plain.read(tmp_path / "run" / "weights.npz", SHORT)
    with pytest.raises(DamagedFile, match="longlag export wrote it: import it without --as"):
        plain.read(tmp_path / "own.pt", SHORT)


def test_keras_weights_without_h5py_name_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "own.weights.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(MissingExtra, match="needs h5py, which is not installed: pip install h5py"):
        plain.read(tmp_path / "own.weights.h5", SHORT)
