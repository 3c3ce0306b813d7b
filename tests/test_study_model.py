"""Studies as files: what they say, and every mistake at once."""

from pathlib import Path

import pytest

from bioclass.errors import RecipeError, StudyError
from bioclass.shelf import Shelf, shipped_folder
from bioclass.study.cells import plan_study, run_name, table_rows
from bioclass.study.model import load_study

STUDY = """
title = "Widths"
recipe = "base.toml"
seeds = [0, 1]
[publication]
citation = "Someone 2017"
images = 100
[axes.width.narrow]
network.hidden = [4]
[axes.width.wide]
[axes.pace.slow]
fit.optimizer.lr = 0.001
[axes.pace.fast]
[[tables]]
name = "widths"
title = "Widths"
rows = ["width"]
where = { pace = "fast" }
baseline = { width = "narrow" }
paper = [{ row = "narrow", average = 90.0, best = 91.5, seconds = 10 }]
[[ensembles]]
name = "votes"
title = "Votes"
members = "width"
columns = "pace"
sizes = [2]
paper = [{ column = "slow", size = 2, rule = "MV", accuracy = 95.0 }]
"""
BASE = 'dataset = "digits"\n[network]\nname = "mlp"\nhidden = [8]\n[fit]\nepochs = 2\n'


@pytest.fixture
def write(tmp_path):
    (tmp_path / "base.toml").write_text(BASE)

    def _write(text=STUDY, *changes):
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "study.toml"
        path.write_text(text)
        return path

    return _write


def plan(path, **options):
    return plan_study(path, Shelf.of(), **options)


@pytest.mark.parametrize("name", ["mnist-2017", "mnist-elastic-strength", "quick", "scratch-or-finetune"])
def test_shipped_studies_resolve(name):
    assert plan(Shelf.of().study(name)).runs()


def test_there_are_no_other_shipped_studies():
    assert {path.stem for path in shipped_folder("studies").glob("*.toml")} == set(Shelf.of().studies())


def test_cells_of_all_tables_once_and_the_first_seed_first(write):
    found = plan(write())
    cells = found.runs()
    assert len(cells) == len({cell.name for cell in cells}) == 8
    assert [cell.recipe.seed for cell in cells] == [0] * 4 + [1] * 4
    assert {(cell.recipe.network.hidden, cell.recipe.fit.optimizer.lr) for cell in cells} == {
        (hidden, lr) for hidden in ((4,), (8,)) for lr in (0.001, 0.01)
    }
    assert all(cell.folder == Path(write()).parent for cell in cells)


def test_only_one_table_and_other_seeds(write):
    cells = plan(write(), only=["widths"], seeds=[7, 5]).runs()
    assert [(cell.recipe.seed, cell.recipe.network.hidden) for cell in cells] == [
        (7, (4,)),
        (7, (8,)),
        (5, (4,)),
        (5, (8,)),
    ]


def test_settings_are_those_of_every_cell(write):
    cells = plan(write(), settings=["fit.epochs=1", "network.hidden=[3]"]).runs()
    assert {cell.recipe.fit.epochs for cell in cells} == {1}
    assert {cell.recipe.network.hidden for cell in cells} == {(3,)}
    assert len(cells) == 4  # with one width, the two levels are one run


def test_weights_by_set_are_for_the_cells_that_start_from_weights():
    study = Shelf.of().study("scratch-or-finetune")
    settings = ["network.weights=there"]
    cells = plan(study, only=["rsmas-small", "rsmas-squeezenet"], seeds=[0], settings=settings).runs()
    weights = {(cell.recipe.network.name, getattr(cell.recipe.network, "weights", None)) for cell in cells}
    assert weights >= {("vgg", None), ("squeezenet1.1", None), ("squeezenet1.1", "there"), ("vgg16", None)}
    assert not any(weight == "gluoncv" for _, weight in weights)
    names = {cell.name.split("-1000it")[0] for cell in cells}
    assert names >= {f"rsmas-squeezenet1.1-{how}" for how in ("pretrained", "finetune", "features")}


def test_the_rows_of_several_axes_are_their_product(write):
    study = load_study(
        write(
            STUDY,
            ('rows = ["width"]\nwhere = { pace = "fast" }', 'rows = ["width", "pace"]'),
            ('row = "narrow"', 'row = ["narrow", "slow"]'),
        )
    )
    assert table_rows(study, study.tables[0]) == [
        ("narrow", "slow"),
        ("narrow", "fast"),
        ("wide", "slow"),
        ("wide", "fast"),
    ]


# What a run is called


def test_a_run_is_known_by_what_its_recipe_chooses(write):
    cells = plan(write()).runs()
    recipe = cells[0].recipe
    same = recipe.model_copy(update={"title": "another", "root": "/elsewhere"})
    assert run_name(same) == cells[0].name
    other = recipe.model_copy(update={"seed": 3})
    assert run_name(other) != cells[0].name


def test_two_studies_share_the_runs_of_one_recipe(write, tmp_path):
    one = {cell.name for cell in plan(write()).runs()}
    renamed = write(STUDY, ("narrow", "small"), ("width", "size"))
    assert {cell.name for cell in plan(renamed).runs()} == one


def test_a_default_written_out_is_no_other_choice(write):
    one = {cell.name for cell in plan(write()).runs()}
    (write().parent / "base.toml").write_text(BASE + "batch_size = 64\n[split]\nseed = 0\n")
    assert {cell.name for cell in plan(write()).runs()} == one


def test_names_tell_what_is_done():
    cells = plan(Shelf.of().study("mnist-2017"), only=["table7-10k"], seeds=[0]).runs()
    heads = [cell.name.rpartition("-seed0-")[0] for cell in cells]
    assert heads[:3] == [
        "mnist-lenet-10000it-original",
        "mnist-lenet-10000it-centered",
        "mnist-lenet-10000it-elastic",
    ]
    assert "mnist-lenet-10000it-rotation-elastic-centered" in heads


def test_the_study_of_2017_shares_its_runs():
    study = Shelf.of().study("mnist-2017")
    names = {
        table: {cell.name for cell in plan(study, only=[table]).runs()}
        for table in ("table7-50k", "table10", "table11", "table12")
    }
    assert names["table7-50k"] < names["table10"] < names["table11"]
    assert names["table7-50k"] < names["table12"]
    assert len(names["table7-50k"]) == 12 * 3
    tables = [name for name in load_study(study).comparisons if not name.startswith("reduced")]
    assert len(plan(study, only=tables).runs()) == 12 * 8 * 2 * 3
    # Less training is two models more; LeNet's runs are there already.
    assert len(plan(study).runs()) == 12 * 8 * 2 * 3 + 12 * 2 * 3


def test_the_sets_of_2017_have_the_sizes_of_table_4():
    cells = plan(Shelf.of().study("mnist-2017"), only=["table7-10k"], seeds=[0]).runs()
    assert [60_000 * cell.recipe.augment.variants for cell in cells] == [60_000] * 2 + [300_000] * 5 + [
        1_500_000
    ] * 5


# Mistakes


def mistakes(path):
    with pytest.raises(StudyError) as problem:
        load_study(path)
    return [line.removeprefix("  - ") for line in str(problem.value).splitlines()[1:]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("seeds = [0, 1]", "seeds = [1, 1]"), "seeds name 1 twice"),
        (('name = "votes"', 'name = "widths"'), "'widths' names two tables"),
        (
            ('rows = ["width"]', 'rows = ["widht"]'),
            "rows names the axis 'widht', which does not exist; did you mean 'width'?",
        ),
        (('rows = ["width"]', 'rows = ["width", "width"]'), "rows name 'width' twice"),
        (
            ('pace = "fast"', 'pace = "fats"'),
            "where.pace names the level 'fats', which does not exist; did you mean 'fast'?",
        ),
        (
            ('where = { pace = "fast" }', ""),
            "where must pick one level of 'pace', which is not in its rows. Got 2 levels",
        ),
        (
            ('width = "narrow" }', 'pace = "fast" }'),
            "baseline names 'pace', which is not an axis of its rows (width)",
        ),
        (
            ('width = "narrow" }', 'width = "narow" }'),
            "baseline width = 'narow' is not among its rows; did you mean 'narrow'?",
        ),
        (('row = "narrow"', 'row = "wid"'), "paper row ['wid']: 'wid' is not among its rows; did you mean 'wide'?"),
        (('row = "narrow"', 'row = ["narrow", "fast"]'), "paper row ['narrow', 'fast'] must name a level of width"),
        (
            ('[publication]\ncitation = "Someone 2017"\nimages = 100', ""),
            "it has figures of a paper: say in [publication]",
        ),
        (
            ("sizes = [2]", 'sizes = [2]\nprotocols.clean = { choose = "validation", where = { pace = "fast" } }'),
            "protocols.clean.where names 'pace': all protocols share the columns",
        ),
        (
            ("sizes = [2]", 'sizes = [2]\nprotocols.clean = { choose = "validation", where = { width = "wide" } }'),
            "size 2 is more than the 1 members",
        ),
        (
            ("[axes.pace.fast]", "[axes.pace.fast]\n[axes.seeds.few]"),
            "the axis 'seeds' is called as a column of every table: name it otherwise",
        ),
        (("sizes = [2]", "sizes = [2, 3]"), "size 3 is more than the 2 members"),
        (('columns = "pace"', 'columns = "width"'), "members and columns are both 'width'"),
        (
            ('column = "slow"', 'column = "slwo"'),
            "paper column 'slwo' is not among its columns; did you mean 'slow'?",
        ),
        (
            ("network.hidden = [4]", "network.hidden = [4]\nseed = 3"),
            "axes.width.narrow sets seed: the study's seeds do",
        ),
        (
            ("[axes.pace.fast]", "[axes.pace.fast]\nnetwork.hidden = [9]"),
            "the axes 'width' and 'pace' both set network.hidden",
        ),
        (
            ("fit.optimizer.lr = 0.001", "fit.iterations = 3\n[axes.width.more]\nfit.epochs = 2"),
            "both set fit.epochs or iterations",
        ),
        (("fit.optimizer.lr = 0.001", "recipe = 3"), "axes.pace.slow.recipe must be the name of a recipe. Got 3"),
        (('title = "Widths"\nrecipe', 'titel = "Widths"\nrecipe'), "unknown key 'titel'; did you mean 'title'?"),
        (("seeds = [0, 1]", 'seeds = [0, "1"]'), "seeds[1] must be an integer. Got '1'"),
    ],
)
def test_mistakes(write, change, says):
    assert any(says in line for line in mistakes(write(STUDY, change)))


def test_all_mistakes_at_once(write):
    found = mistakes(
        write(
            STUDY,
            ("seeds = [0, 1]", "seeds = [1, 1]"),
            ("sizes = [2]", "sizes = [9]"),
            ('width = "narrow" }', 'width = "x" }'),
        )
    )
    assert len(found) == 4  # the paper's ensembles of two are no longer among those of nine


def test_a_study_without_tables(write):
    assert mistakes(write(STUDY[: STUDY.index("[[tables]]")])) == [
        "there are no tables and no ensembles: say what to compare"
    ]


def test_recipes_with_mistakes_are_told_before_anything_runs(write):
    with pytest.raises(RecipeError) as problem:
        plan(write(STUDY, ("fit.optimizer.lr = 0.001", "fit.optimizer.momentun = 0.001")))
    lines = str(problem.value).splitlines()
    assert lines[0] == "The study study makes recipes with mistakes:"
    assert len(lines) == 2
    assert "unknown key 'fit.optimizer.momentun'; did you mean 'momentum'?" in lines[1]
    assert "(with width = 'narrow', pace = 'slow', and 1 more)" in lines[1]


def test_an_unknown_base_recipe(write):
    with pytest.raises(RecipeError, match="There is no recipe 'mnist-lent'; did you mean 'mnist-lenet'"):
        plan(write(STUDY, ('recipe = "base.toml"', 'recipe = "mnist-lent"')))


def test_members_cannot_be_chosen_on_a_validation_part_that_is_not_there(write):
    (write().parent / "base.toml").write_text(BASE + "[split]\nvalidation = 0\n")
    with pytest.raises(
        StudyError, match="'clean' chooses its members on the validation part, and with width = 'narrow'"
    ):
        plan(write())
    assert plan(write(), only=["widths"]).runs()


def test_an_unknown_table_and_a_seed_as_a_setting(write):
    with pytest.raises(StudyError, match="has no table 'width'; did you mean 'widths'"):
        plan(write(), only=["width"])
    with pytest.raises(StudyError, match="are named with --seed"):
        plan(write(), settings=["seed=3"])


def test_a_level_may_name_another_recipe(write, tmp_path):
    (tmp_path / "other.toml").write_text(BASE.replace("[8]", "[5]"))
    cells = plan(
        write(STUDY, ("[axes.pace.fast]", '[axes.pace.fast]\nrecipe = "other.toml"')), only=["widths"]
    ).runs()
    assert {cell.recipe.network.hidden for cell in cells} == {(4,), (5,)}


def test_an_empty_table_asks_for_its_defaults(write):
    cells = plan(
        write(STUDY, ("[axes.pace.fast]", "[axes.pace.fast]\npreprocess.center = {}")), only=["widths"]
    ).runs()
    assert {cell.recipe.preprocess.center.size for cell in cells} == {(20, 20)}


def test_users_studies_are_found(write, tmp_path):
    path = write()
    assert Shelf.of([tmp_path]).studies()["study"] == path
    assert "base" not in Shelf.of([tmp_path]).studies()
    with pytest.raises(StudyError, match="There is no study 'quik'; did you mean 'quick'"):
        Shelf.of().study("quik")
