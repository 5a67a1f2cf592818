"""Training: a recipe becomes a run of model, data, optimization and folder, and the loop works through it.

::

    config.py, defaults.py      the recipe; what it leaves open, decided from data and device
    setup.py -> run.py          the run and its four parts
    train.py                    the loop, in plain torch
    state.py, checkpoint.py     how far it has come; how that is saved and put back, bit for bit
"""
