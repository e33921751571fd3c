"""Weights on disk: from elsewhere, damaged, of another network."""

import pickle

import pytest
import torch
from torch import nn

from models import networks
from util import atomic
from util.checkpoints.weights import load_file, load_weights, save_file, weights_path
from util.errors import UserError


@pytest.fixture
def net():
    return networks.define_G(3, 3, 4, "resnet_6blocks", "instance")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrapper_prefixes_are_stripped(tmp_path, net, prefix):
    weights = {prefix + key: value + 1 for key, value in net.state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    load_weights(net, tmp_path / "w.pth")
    assert torch.equal(net.state_dict()["model.1.bias"], torch.ones(4))


def test_instance_norm_statistics_of_old_files_are_dropped(tmp_path, net):
    old = dict(net.state_dict())
    for name, module in net.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            old[f"{name}.running_mean"] = torch.zeros(module.num_features)
            old[f"{name}.running_var"] = torch.ones(module.num_features)
            old[f"{name}.num_batches_tracked"] = torch.tensor(3)
    assert len(old) > len(net.state_dict())
    torch.save(old, tmp_path / "old.pth")
    load_weights(net, tmp_path / "old.pth")


def test_the_counter_that_old_batch_norms_lack_is_filled_in(tmp_path):
    net = networks.define_D(3, 4, "basic", norm="batch")
    old = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    load_weights(net, tmp_path / "old.pth")


def test_a_network_may_call_a_part_module(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Conv2d(1, 1, 1)

    torch.save(Net().state_dict(), tmp_path / "w.pth")
    load_weights(Net(), tmp_path / "w.pth")


def test_a_missing_file_is_told_with_what_is_there(tmp_path, net):
    for epoch in ("latest", "5", "10"):
        save_file(net.state_dict(), weights_path(tmp_path / "run", epoch, "G"))
    with pytest.raises(UserError, match="7_net_G.pth: no such checkpoint; .*: 5, 10, latest"):
        load_file(weights_path(tmp_path / "run", 7, "G"))
    with pytest.raises(UserError, match="runs in .*: run; did you mean run"):
        load_file(weights_path(tmp_path / "rum", 7, "G"))
    with pytest.raises(UserError, match="weights in .*: 10_net_G.pth"):
        load_file(weights_path(tmp_path / "run", "latest", "G_A"))


class Dangerous:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(Dangerous()), None])
def test_damaged_and_dangerous_files_are_one_line(tmp_path, net, capsys, content):
    path = tmp_path / "w.pth"
    if content is None:
        torch.save(Dangerous(), path)
    else:
        path.write_bytes(content)
    reason = (
        "refused: holds code .(builtins.)?print" if content not in (b"", b"text") else "cannot be"
    )
    with pytest.raises(UserError, match=f"w.pth: {reason}") as caught:
        load_weights(net, path)
    assert "\n" not in str(caught.value)
    assert "code ran" not in capsys.readouterr().out


def test_another_networks_weights_are_told_by_a_key(tmp_path, net):
    torch.save(networks.define_G(3, 3, 8, "resnet_6blocks", "instance").state_dict(), "wide.pth")
    with pytest.raises(UserError, match=r"of another shape, e.g. model.1.bias.*--ngf"):
        load_weights(net, tmp_path / "wide.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds list, not a state_dict"):
        load_weights(net, tmp_path / "list.pth")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    save_file({"a": torch.ones(1)}, path)

    def fail(handle):
        raise OSError("disk full")

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_file({"a": torch.zeros(1)}, path)
    assert load_file(path)["a"].item() == 1
    assert list(tmp_path.iterdir()) == [path]
