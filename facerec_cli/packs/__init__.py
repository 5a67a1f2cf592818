"""Model packs: what a manifest says, where packs live, and how a ``--model`` value becomes one."""
