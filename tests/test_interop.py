"""Runs out to other formats and back: to the bit, or refused in one sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

import longlag  # noqa: E402
from longlag import cli, files, interop  # noqa: E402
from longlag.files import DamagedFile  # noqa: E402
from longlag.interop import metadata, onnx_file, safetensors_file, torch_file  # noqa: E402
from longlag.interop.torch_module import LSTMModule, from_run  # noqa: E402
from longlag.learning.recipe import recipe  # noqa: E402
from longlag.learning.training import History, Run  # noqa: E402
from longlag.networks.lstm import LSTM, Parameters  # noqa: E402
from longlag.runs import checkpoint as checkpoints  # noqa: E402
from longlag.runs import contents  # noqa: E402
from longlag.runs import directory as runs  # noqa: E402

FORMATS = get_args(interop.Format)
CODECS: dict[str, Any] = {
    "safetensors": safetensors_file,
    "torch": torch_file,
    "onnx": onnx_file,
}
EXACT = 1e-6  # how far another program's answers may be from the reference's
VARIANTS = st.tuples(st.sampled_from(["linear", "sigmoid"]), st.booleans())


def made(hidden: int = 3, output: str = "linear", forget_gate: bool = True, seed: int = 0) -> Run:
    """A run with random weights, of every magnitude that a float32 has, and a random history."""
    rng = np.random.default_rng(seed)
    settings = {"hidden": hidden, "output": output, "forget_gate": forget_gate, "min_length": 11}
    its = recipe("robust", **settings)
    shapes = its.network.shapes(its.task).values()
    weights = np.concatenate([draw(rng, shape).ravel() for shape in shapes])
    losses = 10.0 ** rng.uniform(-12, 3, int(rng.integers(1, 40)))
    losses[rng.random(len(losses)) < 0.05] = np.nan
    score = longlag.score(rng.random(9), rng.random(9))
    tests = [(k, dataclasses.replace(score, mse=float(loss))) for k, loss in enumerate(losses)]
    return Run(
        recipe=its,
        seed=seed,
        network=its.network_of(weights),
        history=History(losses, tests, float(rng.random())),
        score=score,
        stopped_by="target",
        iterations=len(losses),
        snapshots={},
        engine="native",
        isa="avx2",
        env={"longlag": "0.0.9", "cores": 3},
    )


def draw(rng: np.random.Generator, shape: Any) -> np.ndarray:
    values = (10.0 ** rng.uniform(-44, 38, shape) * rng.choice([-1, 1], shape)).astype(np.float32)
    return np.where(rng.random(shape) < 0.1, np.float32(-0.0), values)


def trained(**changes: Any) -> Run:
    """A run whose network has learned something, in some milliseconds."""
    small = {"hidden": 4, "max_iterations": 60, "test_every": 60, "test_size": 20, "min_length": 18}
    return longlag.train(recipe("robust", **small | changes), seed=3, engine="numpy")


def bits(run: Run) -> list[bytes]:
    return [array.tobytes() for array in run.network.parameters]


def same(one: Run, two: Run) -> bool:
    """Whether two runs are the same, but for snapshots."""
    return bits(one) == bits(two) and files.to_json(contents.describe(one)) == files.to_json(
        contents.describe(two)
    )


def refusal(path: Path) -> str:
    """The one sentence with which a file is refused, and which leaves it as it was."""
    before = path.read_bytes()
    with pytest.raises(DamagedFile, match="is damaged or not longlag's: ") as caught:
        interop.read(path)
    assert path.read_bytes() == before
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


# -- out and in again -------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@given(hidden=st.integers(1, 12), variant=VARIANTS, seed=st.integers(0, 2**32))
def test_a_round_trip_keeps_every_bit(format, hidden, variant, seed, tmp_path_factory) -> None:
    run = made(hidden, *variant, seed)
    path = tmp_path_factory.getbasetemp() / f"round_trip.{format}"
    if format == "onnx" and not run.network.forget_gate:
        with pytest.raises(ValueError, match="ONNX cannot express a forget gate fixed at 1"):
            interop.write(run, path, format)
        return
    assert interop.write(run, path, format) == path
    back = interop.read(path)
    assert same(run, back)
    assert back.snapshots == {}
    assert back.recipe == run.recipe
    assert back.env == run.env


@pytest.mark.parametrize("format", FORMATS)
def test_the_lstm_of_1997_goes_into_safetensors_alone(format, tmp_path: Path) -> None:
    its = recipe("paper", min_length=11, max_sequences=300, test_size=20)
    run = longlag.train(its, seed=5, engine="numpy")
    path = tmp_path / "file"
    if format != "safetensors":
        with pytest.raises(ValueError, match="network lstm1997, for which neither PyTorch nor"):
            interop.write(run, path, format)
        assert not path.exists()
        return
    back = interop.read(interop.write(run, path, format))
    assert same(run, back)
    assert repr(back.stops) == repr(run.stops)  # with NaNs
    inputs, lengths, _ = its.task.sample(9, np.random.default_rng(0))
    assert np.array_equal(
        run.network.predict(inputs, lengths), back.network.predict(inputs, lengths)
    )
    assert b'"gate_order":"cells, input gates, output gates"' in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"cells, input gates, output gates", b" " * 32))
    assert "its gate order is" in refusal(path)


OTHERS: dict[str, tuple[dict[str, Any], str, str]] = {  # settings, gate order, why others refuse
    "gru": ({"network": "gru"}, "reset, update, candidate", "trains network gru, for which"),
    "lstm1997": (
        {"network": "lstm1997", "output": "linear"},
        "cells, input gates, output gates",
        "trains network lstm1997, for which",
    ),
    "order": (
        {"task": "temporal-order"},
        "input, forget, output, candidate",
        "task temporal-order has 8 symbols and 4 outputs, read at the last step, but",
    ),
    "copy": (
        {"task": "copy", "lag": 5},
        "input, forget, output, candidate",
        "task copy has 10 symbols and 9 outputs, read at every step, but",
    ),
    "order by gru": (
        {"task": "temporal-order", "network": "gru"},
        "reset, update, candidate",
        "trains network gru, for which",
    ),
    "torch-gru": (
        {"network": "torch-gru"},
        "the network's own",
        "trains network torch-gru, for which",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_task_and_network_goes_into_safetensors_alone(name: str, tmp_path: Path) -> None:
    changes, gate_order, refused = OTHERS[name]
    small = {"max_iterations": 20, "test_every": 20, "test_size": 20}
    small |= {} if "lag" in changes else {"min_length": 18}
    run = longlag.train(recipe("robust", **small | changes), seed=3, engine="numpy")
    path = interop.write(run, tmp_path / "file", "safetensors")
    back = interop.read(path)
    assert same(run, back)
    assert back.recipe == run.recipe
    inputs, lengths, _ = run.recipe.task.sample(9, np.random.default_rng(0))
    answers = run.network.predict(inputs, lengths)
    assert np.array_equal(answers, back.network.predict(inputs, lengths))

    weights, texts = safetensors_numpy.load_file(path), safetensors_metadata(path)
    assert texts["gate_order"] == gate_order
    shapes = run.recipe.network.shapes(run.recipe.task)
    assert {n: array.shape for n, array in weights.items()} == shapes
    for another in {order for _, order, _ in OTHERS.values()} - {gate_order}:
        data = safetensors_numpy.save(weights, metadata.describe(run, another))
        (tmp_path / "other").write_bytes(data)
        assert "its gate order is" in refusal(tmp_path / "other")

    for format in ("torch", "onnx"):
        with pytest.raises(ValueError, match=refused) as caught:
            interop.write(run, tmp_path / "new", format)
        assert "export to safetensors" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def safetensors_metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return file.metadata()


def test_the_largest_network_goes_out_and_in(tmp_path: Path) -> None:
    run = made(hidden=128)
    for format in FORMATS:
        assert same(run, interop.read(interop.write(run, tmp_path / "file", format)))


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_directory_comes_back_byte_for_byte(format, tmp_path: Path) -> None:
    runs.put(trained(), tmp_path / "run", overwrite=False)
    interop.write(longlag.load(tmp_path / "run"), tmp_path / "file", format)
    runs.put(interop.read(tmp_path / "file"), tmp_path / "back", overwrite=False)
    for name in (runs.WEIGHTS, runs.HISTORY):
        ours, theirs = (tmp_path / d / name for d in ("run", "back"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_settings_can_be_read_without_longlag(tmp_path: Path) -> None:
    """What another program sees: named arrays and texts."""
    run = made()
    path = interop.write(run, tmp_path / "file", "safetensors")
    arrays, texts = safetensors_numpy.load_file(path), safetensors_metadata(path)
    assert set(arrays) == set(Parameters._fields)
    assert np.array_equal(arrays["Wh"], run.network.parameters.Wh)
    about = json.loads(texts["run"])
    assert about["recipe"] == "robust"
    assert about["config"] == run.recipe.settings()
    assert about["score"] == run.score.as_dict()
    assert (about["seed"], texts["gate_order"]) == (0, "input, forget, output, candidate")
    assert (texts["forget_gate"], texts["output"]) == ("learned", "linear")


# -- the same answers elsewhere ---------------------------------------------------------------


def batches(T: int) -> Any:
    return st.lists(st.integers(1, T), min_size=1, max_size=6).map(np.array)


@pytest.fixture(scope="module")
def networks() -> dict[tuple[str, bool], Run]:
    return {
        (output, gate): trained(output=output, forget_gate=gate)
        for output in ("linear", "sigmoid")
        for gate in (True, False)
    }


@given(variant=VARIANTS, lengths=batches(30), more=st.integers(0, 3), seed=st.integers(0, 99))
def test_the_torch_module_answers_as_the_reference(networks, variant, lengths, more, seed) -> None:
    run = networks[variant]
    inputs = sequences(lengths, more, seed)
    with torch.no_grad():
        answers = from_run(run)(torch.from_numpy(inputs), torch.from_numpy(lengths)).numpy()
    assert np.max(np.abs(answers - run.network.predict(inputs, lengths))) <= EXACT


@given(
    output=st.sampled_from(["linear", "sigmoid"]),
    lengths=batches(30),
    more=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_onnx_runtime_answers_as_the_reference(networks, output, lengths, more, seed) -> None:
    run = networks[output, True]
    inputs = sequences(lengths, more, seed)
    answers = onnx_session(run).run(None, {"inputs": inputs, "lengths": lengths})[0]
    assert answers.shape == lengths.shape
    assert np.max(np.abs(answers - run.network.predict(inputs, lengths))) <= EXACT


def sequences(lengths: np.ndarray, more: int, seed: int) -> np.ndarray:
    """Inputs with values after each sequence's end, which nobody may read."""
    shape = (len(lengths), int(lengths.max()) + more, 2)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def onnx_session(run: Run) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(onnx_file.encode(run), options, ["CPUExecutionProvider"])


def test_onnx_is_a_valid_model_around_an_lstm_operator(tmp_path: Path) -> None:
    run = made()
    path = interop.write(run, tmp_path / "model.onnx", "onnx")
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    assert [node.op_type for node in model.graph.node].count("LSTM") == 1
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["gate_order"] == "input, output, forget, candidate"
    assert onnx_session(run).get_modelmeta().custom_metadata_map == properties


@pytest.mark.parametrize("forget_gate", [True, False])
def test_the_torch_modules_gradient_is_the_references(networks, forget_gate: bool) -> None:
    run = networks["sigmoid", forget_gate]
    batch = run.recipe.task.sample(5, np.random.default_rng(1))
    loss, expected = run.network.gradient(*batch)
    module = from_run(run)
    inputs, lengths, targets = (torch.from_numpy(array) for array in batch)
    error = torch.mean((module(inputs, lengths) - targets) ** 2)
    error.backward()
    assert error.item() == pytest.approx(loss, rel=1e-5)
    found = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    assert set(found) == set(torch_file.NAMES.values())
    for name, gradient in expected._asdict().items():
        theirs = found[torch_file.NAMES[name]]
        if name in ("Wx", "Wh", "b"):
            i, f, g, o = theirs.chunk(4)
            theirs = torch.cat([i, f, o, g])
        assert np.allclose(theirs.numpy().T, gradient, rtol=1e-4, atol=1e-6), name


def test_plain_torch_loads_the_file(tmp_path: Path) -> None:
    run = made(hidden=5, output="sigmoid")
    path = interop.write(run, tmp_path / "run.pt", "torch")
    state = torch.load(path, weights_only=True)
    module = LSTMModule(5, "sigmoid")
    module.load_state_dict(state)
    assert module.metadata["gate_order"] == "input, forget, candidate, output"
    assert torch.equal(module.lstm.weight_ih_l0, from_run(run).lstm.weight_ih_l0)
    with pytest.raises(ValueError, match="this module's output is linear, the file's sigmoid"):
        LSTMModule(5, "linear").load_state_dict(state)


def test_a_module_without_lengths_answers_at_the_last_step(networks) -> None:
    run = networks["linear", True]
    inputs = sequences(np.array([7, 7]), 0, 0)
    with torch.no_grad():
        answers = from_run(run)(torch.from_numpy(inputs)).numpy()
    assert np.max(np.abs(answers - run.network.predict(inputs))) <= EXACT


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=120)
@given(data=st.data())
def test_a_mutated_file_is_refused_or_reads_the_same(format, data, tmp_path_factory) -> None:
    run = made(hidden=2)
    whole = CODECS[format].encode(run)
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["cut", "change", "insert", "remove", "swap"]))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    rest = {"change": len(noise), "insert": 0, "remove": 1, "swap": 64, "cut": len(whole)}[kind]
    if kind == "swap":  # two neighbouring blocks
        noise = whole[at + 32 : at + 64] + whole[at : at + 32]
    elif kind in ("cut", "remove"):
        noise = b""
    path = tmp_path_factory.getbasetemp() / f"mutated.{format}"
    path.write_bytes(whole[:at] + noise + whole[at + rest :])
    try:
        back = interop.read(path)
    except DamagedFile:
        refusal(path)
    else:
        assert same(run, back)


@pytest.mark.parametrize("format", FORMATS)
def test_every_byte_of_the_weights_is_watched(format, tmp_path: Path) -> None:
    run = made(hidden=2)
    whole = bytearray(CODECS[format].encode(run))
    at = whole.find(run.network.parameters.Wy.tobytes())
    assert at > 0
    whole[at] ^= 1
    (tmp_path / "file").write_bytes(whole)
    text = refusal(tmp_path / "file")
    assert "altered after the export" in text or "checksum" in text


@pytest.mark.parametrize("data", [b"", b"\0", b"GIF89a", b"PK\x03\x04", b"\x08\x08", b"\x08" * 999])
def test_what_is_no_export_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    refusal(tmp_path / "file")


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none", "there is no file"), (tmp_path, "is no file")):
        with pytest.raises(ValueError, match=says):
            interop.read(path)
    with pytest.raises(ValueError, match="is a directory"):
        interop.write(made(), tmp_path, "torch")
    with pytest.raises(ValueError, match="format must be one of safetensors, torch, onnx"):
        interop.write(made(), tmp_path / "file", "hdf5")  # type: ignore[arg-type]


def test_another_programs_safetensors_are_refused(tmp_path: Path) -> None:
    tensors = {"lstm.weight": np.zeros(3, np.float32)}
    for texts in (None, {"format": "pt"}):
        (tmp_path / "file").write_bytes(safetensors_numpy.save(tensors, texts))
        assert "format" in refusal(tmp_path / "file")


def test_another_programs_torch_files_are_refused(tmp_path: Path) -> None:
    module = torch.nn.LSTM(2, 3)
    for content in (module.state_dict(), module, [1, 2], LSTMModule(3).state_dict()):
        torch.save(content, tmp_path / "file")
        refusal(tmp_path / "file")


def test_another_programs_onnx_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(onnx_file.encode(made()))
    del model.metadata_props[:]
    (tmp_path / "file").write_bytes(model.SerializeToString())
    assert "its metadata names no longlag format" in refusal(tmp_path / "file")


def test_an_onnx_graph_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(onnx_file.encode(made(output="sigmoid")))
    model.graph.node[-1].op_type = "Tanh"
    (tmp_path / "file").write_bytes(model.SerializeToString())
    assert "its graph is not that of an exported network" in refusal(tmp_path / "file")


def test_an_onnx_file_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(onnx_file.encode(made()))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="secret")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "file").write_bytes(model.SerializeToString())
    assert "lies in another file" in refusal(tmp_path / "file")


class Harmful:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("legacy", [True, False])
def test_nothing_in_a_file_is_executed(legacy: bool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Harmful()}, "file.pt", _use_new_zipfile_serialization=not legacy)
    refusal(Path("file.pt"))
    Path("plain.pt").write_bytes(pickle.dumps(Harmful()))
    refusal(Path("plain.pt"))
    assert not Path("made-by-a-pickle").exists()
    with warnings.catch_warnings(action="ignore"):
        torch.load("file.pt", weights_only=False)  # it does work
    assert Path("made-by-a-pickle").exists()


def test_an_old_pytorch_is_not_trusted_to_read(tmp_path: Path, monkeypatch) -> None:
    path = interop.write(made(), tmp_path / "file", "torch")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    assert "does not read it safely" in refusal(path)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """A small file must not become a large one in memory."""
    with zipfile.ZipFile(io.BytesIO(torch_file.encode(made()))) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    assert "compressed" in refusal(tmp_path / "file")


def test_weights_in_the_second_bias_are_refused(tmp_path: Path) -> None:
    module = from_run(made())
    module.set_extra_state(metadata.describe(made(), torch_file.GATE_ORDER))
    with torch.no_grad():
        module.lstm.bias_hh_l0[0] = 1.0
    torch.save(module.state_dict(), tmp_path / "file")
    assert "lstm.bias_hh_l0 must be zero" in refusal(tmp_path / "file")


def test_weights_that_were_trained_on_are_refused(tmp_path: Path) -> None:
    """The score and the history in the file would be of other weights."""
    module = from_run(made())
    module.set_extra_state(metadata.describe(made(), torch_file.GATE_ORDER))
    with torch.no_grad():
        module.linear.bias += 1
    torch.save(module.state_dict(), tmp_path / "file")
    assert "altered after the export" in refusal(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("format", "longlag export 9", "its format is 'longlag export 9', this version reads"),
        ("format", None, "names no longlag format"),
        ("sha256", None, "its metadata lacks 'sha256'"),
        ("run", None, "its metadata lacks 'run'"),
        ("note", "hello", "holds 'note', which this version does not know"),
        ("gate_order", "input, forget, candidate, output", "its gate order is"),
        ("forget_gate", "fixed at 1", "its variant is not that of its settings"),
        ("output", "sigmoid", "its variant is not that of its settings"),
        ("train_losses", "[0.5]", "altered after the export"),
        ("run", "{}", "its format is None"),
        ("run", "[" * 100_000, "damaged or not longlag's"),
    ],
)
def test_metadata_that_is_not_an_exports_is_refused(name, value, reason, tmp_path: Path) -> None:
    texts = metadata.describe(made(), safetensors_file.GATE_ORDER)
    texts.pop(name, None)
    if value is not None:
        texts[name] = value
    weights = made().network.parameters._asdict()
    (tmp_path / "file").write_bytes(safetensors_numpy.save(weights, texts))
    assert reason in refusal(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w | {"more": w["b"]}, "it holds"),
        (lambda w: {k: a for k, a in w.items() if k != "by"}, "it holds"),
        (lambda w: w | {"b": w["b"].astype(np.float64)}, "b must be finite float32"),
        (lambda w: w | {"b": np.full_like(w["b"], np.nan)}, "b must be finite float32"),
        (lambda w: w | {"b": w["b"][:-1]}, "b of shape"),
        (lambda w: w | {"Wy": w["Wy"][:-1]}, "Wy of shape"),
    ],
)
def test_arrays_that_are_not_a_networks_are_refused(change, reason, tmp_path: Path) -> None:
    weights = change(made().network.parameters._asdict())
    texts = metadata.describe(made(), safetensors_file.GATE_ORDER)
    (tmp_path / "file").write_bytes(safetensors_numpy.save(weights, texts))
    assert reason in refusal(tmp_path / "file")


@pytest.mark.parametrize("format", FORMATS)
def test_weights_that_are_not_finite_float32_do_not_go_out(format, tmp_path: Path) -> None:
    run = made()
    weights = run.network.parameters
    for b in (weights.b.astype(np.float64), np.full_like(weights.b, np.inf)):
        network = LSTM(weights._replace(b=b))
        with pytest.raises(ValueError, match="b must be finite float32 numbers"):
            interop.write(dataclasses.replace(run, network=network), tmp_path / "file", format)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_a_missing_library_is_named(format, tmp_path: Path, monkeypatch, capsys) -> None:
    runs.put(made(), tmp_path / "run", overwrite=False)
    interop.write(made(), tmp_path / "file", format)
    monkeypatch.setitem(sys.modules, format, None)
    monkeypatch.delitem(sys.modules, f"longlag.interop.{interop.MODULES[format]}")
    for words in (
        ["export", tmp_path / "run", "--format", format, "--out", tmp_path / "new"],
        ["import", tmp_path / "file", "--out", tmp_path / "new"],
    ):
        assert cli.main([str(word) for word in words]) == 2
        text = capsys.readouterr().err
        assert f"needs {format}" in text
        assert "pip install 'longlag[interop]'" in text
        assert "damaged" not in text
        assert text.count("\n") == 1
    assert not (tmp_path / "new").exists()


# -- the commands -----------------------------------------------------------------------------


def call(capsys: pytest.CaptureFixture[str], *args: Any) -> tuple[int, str, str]:
    status = cli.main([str(arg) for arg in args])
    return (status, *capsys.readouterr())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    runs.put(trained(), directory, overwrite=False)
    return directory


@pytest.mark.parametrize("format", FORMATS)
def test_an_imported_run_is_a_run(format, run: Path, tmp_path: Path, capsys) -> None:
    file, back = tmp_path / "new" / "file", tmp_path / "back"
    status, out, _ = call(capsys, "export", run, "--format", format, "--out", file, "--json")
    content = json.loads(out)
    assert (status, content["file"], content["format"]) == (0, str(file), format)
    status, out, _ = call(capsys, "import", file, "--out", back, "--json")
    content = json.loads(out)
    assert (status, content["run_dir"], content["iterations"]) == (0, str(back), 60)
    answers = [call(capsys, "evaluate", place, "--json") for place in (run, back)]
    assert answers[0] == answers[1]
    assert call(capsys, "compare", run, back)[0] == 0
    assert call(capsys, "figures", back)[0] == 0
    status, _, err = call(capsys, "animate", back)
    assert (status, err) == (
        2,
        f"longlag: {back} has no snapshots.npz, which the animation is made of\n",
    )


def test_an_export_does_not_write_over_the_run(run: Path, capsys) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for name in runs.RUN_FILES:
        out = run / ".." / "run" / name
        status, _, err = call(capsys, "export", run, "--format", "torch", "--out", out)
        assert (status, "is the input itself" in err) == (2, True)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_an_import_takes_only_a_place_that_is_free(run: Path, tmp_path: Path, capsys) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    interop.write(longlag.load(run), file, "safetensors")
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    status, _, err = call(capsys, "import", file, "--out", other)
    assert (status, "choose another directory" in err) == (2, True)
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_an_import_replaces_a_finished_run_and_all_of_it(tmp_path: Path, capsys) -> None:
    """What would bring the old run back by --resume goes too."""
    words = ("--min-length", 12, "--hidden", 2, "--max-iterations", 10, "--test-size", 10)
    old, file = tmp_path / "old", tmp_path / "file"
    assert call(capsys, "train", *words, "--save-dir", old, "--quiet")[0] == 0
    interop.write(made(), file, "onnx")
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    status, out, err = call(capsys, "import", file, "--out", old)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "holds a finished run (robust, seed 0: its min_length is 12, not 11)" in err
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    status, _, err = call(capsys, "import", file, "--out", old, "--overwrite")
    assert (status, err) == (0, f"the run that {old} held is replaced\n")
    assert call(capsys, "import", file, "--out", old)[0] == 0
    assert same(longlag.load(old), made())
    assert {path.name for path in old.iterdir()} == {runs.WEIGHTS, runs.HISTORY}
    assert call(capsys, "train", "--resume", "--save-dir", old)[0] == 2


def test_an_import_spares_an_unfinished_training(tiny, run: Path, tmp_path: Path, capsys) -> None:
    from longlag.learning import engine
    from longlag.runs import session

    unfinished, file = tmp_path / "unfinished", tmp_path / "file"
    unfinished.mkdir()
    training = longlag.learning.training.Training(tiny, 0, engine.choose("numpy"))
    training.advance()
    checkpoints.save(training, unfinished)
    interop.write(longlag.load(run), file, "safetensors")
    status, _, err = call(capsys, "import", file, "--out", unfinished)
    assert (status, "--overwrite" in err) == (2, True)
    session.resume(session.Request(), unfinished)
    shutil.rmtree(unfinished)
    unfinished.mkdir()
    checkpoints.save(training, unfinished)
    assert call(capsys, "import", file, "--out", unfinished, "--overwrite")[0] == 0
    assert same(longlag.load(unfinished), longlag.load(run))


def test_doctor_names_the_formats_libraries(capsys) -> None:
    extras = json.loads(call(capsys, "doctor", "--json")[1])["extras"]
    assert {"torch", "safetensors", "onnx", "onnxruntime"} <= set(extras)


# -- files of other kinds -------------------------------------------------------------------------

KINDS = {
    b"": "it is empty",
    b"\x80\x04K\x01.": "it is a pickle",
    b"\x89HDF\r\n\x1a\n": "it is an HDF5 file",
    b"\x89PNG\r\n\x1a\n": "it is a PNG picture",
    b"SQLite format 3\0": "it is an SQLite file",
    b"hello, world": "of no known kind",
}


@pytest.mark.parametrize("data", KINDS)
def test_a_file_of_another_kind_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match=f"a is damaged.*{KINDS[data]}") as caught:
        interop.read(tmp_path / "a")
    assert "not installed" not in str(caught.value)


def test_weights_of_a_run_directory_are_no_export(tmp_path: Path) -> None:
    files.write_arrays(tmp_path / "weights.npz", {"Wx": np.zeros(3)})
    with pytest.raises(
        ValueError, match=r"is an .npz of arrays.*safetensors, torch, onnx are read"
    ):
        interop.read(tmp_path / "weights.npz")
