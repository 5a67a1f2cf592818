import subprocess
import sys

import pytest

from facerec_cli.errors import InputError, UsageError
from facerec_cli.settings import to_tables
from facerec_cli.training.compose import assigned, compose, parse_recipe, read_recipe
from facerec_cli.training.config import Recipe, recipe_settings


def test_a_recipe_survives_the_way_to_toml_and_back():
    import tomllib

    import tomli_w

    recipe = parse_recipe(
        {
            "loss": {"name": "npt", "k": 6},
            "schedule": {"milestones": [10, 18.5], "name": "step"},
            "backbone": {"freeze": ["body.conv_1"]},
        },
        "here",
    )
    assert parse_recipe(tomllib.loads(tomli_w.dumps(to_tables(recipe))), "there") == recipe
    assert recipe.loss.settings == {"k": 6}
    assert recipe.schedule.milestones == (10.0, 18.5)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("optimizer.lrr", "optimizer.lr"),
        ("batchsize", "run.batch_size"),
        ("schedule.epoch", "schedule.epochs"),
        ("evaluate.bst", "evaluate.best"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, nearest):
    with pytest.raises(UsageError, match=rf"There is no setting '{key}'.*Did you mean '{nearest}'"):
        assigned(Recipe(), f"{key}=1")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.lr=fast", "must be a number"),
        ("run.batch_size=1.5", "must be a whole number"),
        ("run.batch_size=true", "must be a whole number"),
        ("run.batch_size=-4", "must be a whole number of at least 2"),
        ("run.compile=1", "must be true or false"),
        ("run.precision=fp8", "Known: auto, fp32, bf16, fp16"),
        ("optimizer.lr", "has no value"),
        ("data.hard=[1]", "must be a list, each text"),
        ("name=x", "could be backbone.name or loss.name"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(assignment, message):
    with pytest.raises(UsageError, match=message):
        assigned(Recipe(), assignment)


def test_set_understands_toml_plain_text_and_clear_short_keys():
    recipe = assigned(assigned(assigned(Recipe(), "lr=1e-3"), "data.path=my/photos"), "milestones=[1, 2]")
    assert recipe.optimizer.lr == 1e-3
    assert recipe.data.path == ("my/photos",)
    assert recipe.schedule.milestones == (1.0, 2.0)


def test_a_file_names_itself_and_its_faulty_key(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[optimizer]\nlearning_rate = 0.1\n")
    with pytest.raises(InputError, match=r"mine.toml: There is no setting 'optimizer.learning_rate'"):
        read_recipe(str(path))
    path.write_text("lr = 0.1\n")
    with pytest.raises(InputError, match="lr is not a table"):
        read_recipe(str(path))
    path.write_text("[optimizer\n")
    with pytest.raises(InputError, match="cannot be read as TOML"):
        read_recipe(str(path))


def test_flags_overrule_the_recipe_and_set_overrules_flags(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[optimizer]\nlr = 0.1\nclip = 1\n[run]\nseed = 3\n")
    recipe = compose(
        recipe=str(path), flags={"optimizer.lr": 0.2, "run.seed": None}, assignments=["optimizer.clip=2"]
    )
    assert (recipe.optimizer.lr, recipe.optimizer.clip, recipe.run.seed) == (0.2, 2.0, 3)


def test_a_resumed_run_starts_from_what_it_had_decided(tmp_path):
    """Wherever its folder is named: torchrun restarts a program with the flags that it had."""
    (tmp_path / "recipe.toml").write_text("[optimizer]\nlr = 0.3\n[run]\nbatch_size = 8\n")
    recipe = tmp_path / "given.toml"
    recipe.write_text(f"[run]\nout = {str(tmp_path)!r}\nbatch_size = 16\n")
    resumed = compose(recipe=str(recipe), resume=True)
    assert (resumed.optimizer.lr, resumed.run.batch_size) == (0.3, 16)
    assert compose(recipe=str(recipe)).optimizer.lr is None
    assert (
        compose(flags={"run.out": str(tmp_path / "new"), "data.path": "crops"}, resume=True).optimizer.lr
        is None
    )


def test_flags_may_be_settings_of_the_loss_and_the_network_and_a_typo_is_told():
    """In Python, where the mapping is written by hand."""
    recipe = compose(flags={"data.path": "crops/", "loss.name": "npt", "loss.k": 6, "backbone.width": 0.5})
    assert recipe.loss.settings == {"k": 6} and recipe.backbone.settings == {"width": 0.5}
    with pytest.raises(UsageError, match=r"no setting 'data.pathh'.*Did you mean 'data.path'"):
        compose(flags={"data.pathh": "crops/"})


def test_every_key_can_be_set_and_is_in_the_document():
    document = to_tables(Recipe())
    open_keys = {f"{t}.{k}" for t in document for k in document[t]}
    assert open_keys <= set(recipe_settings())
    assert len(list(recipe_settings())) > 40


def test_recipes_are_checked_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from facerec_cli.training.compose import assigned, shipped_recipes, read_recipe\n"
        "from facerec_cli.training.config import Recipe\n"
        "from facerec_cli.training import defaults, processes\n"
        "for name in shipped_recipes(): read_recipe(name)\n"
        "print(len(shipped_recipes()), assigned(Recipe(), 'loss.k=6').loss.settings['k'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shipped, k = done.stdout.split()
    assert int(shipped) >= 4
    assert k == "6"


def test_the_shipped_recipes_name_their_source_and_are_buildable():
    from facerec_cli.registry import LOSSES, load
    from facerec_cli.training.compose import shipped_recipes
    from facerec_cli.training.loss_settings import loss_settings

    for name, path in shipped_recipes().items():
        recipe = read_recipe(name)
        loss_settings(load(LOSSES, recipe.loss.name, "loss"), recipe)
        text = path.read_text()
        assert name in ("adapt_sface", "sface_degraded") or (
            "arXiv" in text and "Not reproduced here." in text.replace("\n# ", " ")
        )


def test_there_must_be_a_run_to_resume_or_data_for_a_new_one(tmp_path):
    with pytest.raises(UsageError, match="holds no run to go on with") as refusal:
        compose(flags={"run.out": str(tmp_path / "nix")}, resume=True)
    assert "--out" in refusal.value.hint
    with pytest.raises(UsageError, match="No run is named"):
        compose(resume=True)
    begun = compose(flags={"run.out": str(tmp_path / "new"), "data.path": "crops"}, resume=True)
    assert begun.data.path == ("crops",)
