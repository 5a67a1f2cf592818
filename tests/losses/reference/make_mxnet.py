"""The part of ``make.py`` that needs MXNet 1.9.1 (and NumPy 1.23): ``python make_mxnet.py FOLDER IN OUT``.

Takes ``get_symbol_arcface`` out of insightface's ``train_parall.py`` as it stands there, runs it in float64,
and makes the gradient of its logits as ``parall_module_local_v1.py`` does: softmax minus one-hot.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import mxnet as mx
import numpy as np

folder, source, target = map(Path, sys.argv[1:])
text = (folder / "insightface/recognition/subcenter_arcface/train_parall.py").read_text()
[function] = [node for node in ast.parse(text).body if getattr(node, "name", "") == "get_symbol_arcface"]

# one_hot makes float32 where it is not told otherwise, which float64 numbers cannot be multiplied with.
one_hot = mx.sym.one_hot
mx.sym.one_hot = lambda *args, **kwargs: one_hot(*args, dtype="float64", **kwargs)

given = np.load(source)
classes, centers, width = given["centers"].shape[1:]
config = SimpleNamespace(
    loss_name="margin_softmax", loss_s=64.0, loss_m1=1.0, loss_m2=0.5, loss_m3=0.0, loss_K=centers,
    emb_size=width, fc7_lr_mult=1.0, fc7_wd_mult=1.0,
)  # fmt: skip
names = {"mx": mx, "config": config}
exec(compile(ast.Module([function], []), "train_parall.py", "exec"), names)
symbol = names["get_symbol_arcface"](SimpleNamespace(_ctxid=0, ctx_num_classes=classes))

found = {"loss": [], "embeddings_gradient": [], "weight_gradient": []}
for x, w, y in zip(given["embeddings"], given["centers"], given["labels"], strict=True):
    arrays = {"data": x, "fc7_0_weight": w.reshape(-1, width), "softmax_label": y}
    arrays = {name: mx.nd.array(value, dtype="float64") for name, value in arrays.items()}
    gradients = {name: mx.nd.zeros_like(value) for name, value in arrays.items()}
    program = symbol.bind(mx.cpu(), arrays, args_grad=gradients)
    logits = program.forward(is_train=True)[0].asnumpy()
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    found["loss"].append(-np.log(share[np.arange(len(y)), y]).mean())
    share[np.arange(len(y)), y] -= 1
    program.backward([mx.nd.array(share / len(y), dtype="float64")])
    found["embeddings_gradient"].append(gradients["data"].asnumpy())
    found["weight_gradient"].append(gradients["fc7_0_weight"].asnumpy().reshape(w.shape))
np.savez(target, **{name: np.stack(values) for name, values in found.items()})
