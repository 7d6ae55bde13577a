"""The networks by name."""

from __future__ import annotations

from longlag.networks.gru import GatedRecurrentUnit
from longlag.networks.lstm import ForgetGateLSTM
from longlag.networks.lstm1997 import BlockLSTM
from longlag.networks.network import Network
from longlag.settings import Registry

NETWORKS: Registry[Network] = Registry(
    "network",
    Network,  # type: ignore[type-abstract]
    ForgetGateLSTM(),
    BlockLSTM(),
    GatedRecurrentUnit(),
)
NETWORKS.later("torch-gru", "longlag.networks.torch:TorchGRU")
NETWORKS.later("torch-irnn", "longlag.networks.torch:IdentityRNN")
