"""The networks by name; a user's cell has the name `module:name`."""

from __future__ import annotations

from typing import Any

from longlag import checks
from longlag.networks.gru import GatedRecurrentUnit
from longlag.networks.lstm import ForgetGateLSTM
from longlag.networks.lstm1997 import BlockLSTM
from longlag.networks.network import Network
from longlag.settings import Registry


def _cell(where: str, found: Any) -> Network:
    """The network of a PyTorch cell, a class or a function, or of a JAX cell, a pair of functions.

    Raises:
        TypeError: neither.
    """
    if isinstance(found, tuple) and len(found) == 2 and all(map(callable, found)):
        from longlag.networks.jax_cell import JaxCell

        return JaxCell(where=where)
    other = isinstance(found, type) and not any(
        base.__module__.startswith("torch.") for base in found.__mro__
    )
    if callable(found) and not other:
        from longlag.networks.cells.own import OwnCell

        return OwnCell(where=where)
    raise TypeError(
        "it must be a network, a PyTorch module class or a function that makes a module, or a pair "
        f"(init, apply) of JAX functions, not {checks.shown(found)}"
    )


def given(module: Any) -> Network:
    """The network of a PyTorch module, or of a pair (apply, parameters) of JAX.

    Raises:
        ValueError: something else.
        ImportError: the framework is not installed.
    """
    if isinstance(module, tuple):
        from longlag.networks.jax_cell import JaxFunction

        return JaxFunction.given(module)
    from longlag.networks.torch import TorchModule

    return TorchModule(module=module)


NETWORKS: Registry[Network] = Registry(
    "network",
    Network,  # type: ignore[type-abstract]
    ForgetGateLSTM(),
    BlockLSTM(),
    GatedRecurrentUnit(),
    adapt=_cell,
)
NETWORKS.later("torch-gru", "longlag.networks.cells.gru:TorchGRU")
NETWORKS.later("torch-irnn", "longlag.networks.cells.irnn:IdentityRNN")
NETWORKS.later("torch-lstm", "longlag.networks.cells.lstm:TorchLSTM")
NETWORKS.later("torch-rnn", "longlag.networks.cells.rnn:TorchRNN")
NETWORKS.later("chrono-lstm", "longlag.networks.cells.chrono:ChronoLSTM")
NETWORKS.later("mingru", "longlag.networks.cells.mingru:MinGRU")
NETWORKS.later("minlstm", "longlag.networks.cells.minlstm:MinLSTM")
NETWORKS.later("lru", "longlag.networks.cells.lru:LRU")
NETWORKS.later("attention", "longlag.networks.cells.attention:Attention")
