"""Recipes: what a user may write, how each mistake is answered, and what ``--set`` does."""

import re

import pytest

from bioclass.errors import RecipeError
from bioclass.recipe import MLP, SGD, Adam, Constant, Cosine, LeNet, Recipe, load_recipe
from bioclass.shelf import shipped_folder

BASE = 'dataset = "digits"\n[fit]\nepochs = 1\n'
SHIPPED = sorted(shipped_folder("recipes").glob("*.toml"))


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def load(write):
    return lambda text=BASE, *settings: load_recipe(write(text), settings)


@pytest.fixture
def mistakes(load):
    """The lines of the one error that a recipe is answered with."""

    def _mistakes(text=BASE, *settings):
        with pytest.raises(RecipeError) as caught:
            load(text, *settings)
        head, *lines = str(caught.value).splitlines()
        assert head == f"Recipe mine.toml has {len(lines)} mistake{'s' if len(lines) > 1 else ''}:"
        assert all(line.startswith("  - ") for line in lines)
        return [line[4:] for line in lines]

    return _mistakes


# What is right


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_load(path):
    recipe = load_recipe(path)
    assert recipe.title
    assert (shipped_folder("datasets") / f"{recipe.dataset}.toml").is_file()


def test_there_are_shipped_recipes():
    assert "digits-lenet" in [path.stem for path in SHIPPED]


def test_defaults(load):
    recipe = load()
    assert recipe == Recipe.model_validate({"dataset": "digits", "fit": {"epochs": 1}})
    assert recipe.network == LeNet(fc1=500, dropout=0.0)
    assert recipe.fit.optimizer == SGD(lr=0.01, momentum=0.9)
    assert recipe.fit.schedule == Constant()
    assert (recipe.split.test, recipe.split.validation, recipe.seed) == (0.2, 0.1, 0)


def test_an_integer_is_a_number_and_an_array_a_pair(load):
    recipe = load(BASE + "optimizer = { name = 'sgd', lr = 1 }\n[preprocess]\nsize = [28, 30]\ndivisor = 256\n")
    assert recipe.fit.optimizer.lr == 1.0
    assert recipe.preprocess.size == (28, 30)
    assert recipe.preprocess.divisor == 256.0


def test_class_weights_by_name(load):
    assert load(BASE + "class_weights = { cat = 1, dog = 2.5 }\n").fit.class_weights == {"cat": 1.0, "dog": 2.5}


def test_a_nameless_table_changes_only_what_it_says(load):
    recipe = load(BASE + "optimizer = { lr = 0.5 }\nschedule = { warmup = 3 }\n[network]\nfc1 = 7\n")
    assert recipe.fit.optimizer == SGD(lr=0.5, momentum=0.9)
    assert recipe.fit.schedule == Constant(warmup=3)
    assert recipe.network == LeNet(fc1=7)
    # With its name it is a new optimizer, with that one's own defaults.
    assert load(BASE + "optimizer = { name = 'sgd', lr = 0.5 }\n").fit.optimizer == SGD(lr=0.5, momentum=0.0)


# Mistakes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BASE + "epoch = 3\n", "unknown key 'fit.epoch'; did you mean 'epochs'?"),
        ('datset = "x"\n' + BASE, "unknown key 'datset'; did you mean 'dataset'?"),
        (BASE + "[netwrk]\n", "unknown key 'netwrk'; did you mean 'network'?"),
        (BASE + "[preprocess]\nstandardize = true\n", "unknown key 'preprocess.standardize'; did you mean"),
        (BASE + "early_stopping = { patienc = 3 }\n", "unknown key 'fit.early_stopping.patienc'; did you mean"),
        (BASE + "[network]\nname = 'mlp'\nactivaton = 'relu'\n", "unknown key 'network.activaton'; did you mean"),
        (BASE + "[network]\nfc = 5\n", "unknown key 'network.fc'; did you mean 'fc1'?"),
        (
            BASE + "optimizer = { momentun = 0.5 }\n",
            "unknown key 'fit.optimizer.momentun'; did you mean 'momentum'",
        ),
        (
            BASE + "optimizer = { name = 'adam', momentum = 0.5 }\n",
            "unknown key 'fit.optimizer.momentum'; known here: beta1, beta2, bias_lr, epsilon, l2, lr, name",
        ),
        (BASE + "schedule = { name = 'steps', on = [0.5] }\n", "unknown key 'fit.schedule.on'"),
        (
            BASE + "optimizer = { name = 'sdg' }\n",
            "fit.optimizer.name must be one of sgd, adam. Got 'sdg'; did you",
        ),
        (BASE + "optimizer = { name = 3 }\n", "fit.optimizer.name must be one of sgd, adam. Got 3"),
        (BASE + "[network]\nname = 'lennet'\n", "did you mean 'lenet'?"),
        (
            BASE + "optimizer = 'adam'\n",
            "fit.optimizer must be a table. Got 'adam'; did you mean fit.optimizer.name",
        ),
    ],
)
def test_unknown_words(mistakes, text, sentence):
    (line,) = mistakes(text)
    assert sentence in line


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BASE + "batch_size = '3'\n", "fit.batch_size must be an integer. Got '3'"),
        (BASE + "batch_size = 3.5\n", "fit.batch_size must be an integer. Got 3.5"),
        (BASE + "batch_size = true\n", "fit.batch_size must be an integer. Got true"),
        (BASE + "batch_size = 0\n", "fit.batch_size must be greater than or equal to 1. Got 0"),
        (BASE + "batch_size = -4\n", "fit.batch_size must be greater than or equal to 1. Got -4"),
        (BASE + "optimizer = { lr = '0.1' }\n", "fit.optimizer.lr must be a number. Got '0.1'"),
        (BASE + "optimizer = { lr = -0.1 }\n", "fit.optimizer.lr must be greater than 0. Got -0.1"),
        (BASE + "optimizer = { lr = inf }\n", "fit.optimizer.lr must be a finite number. Got inf"),
        (BASE + "optimizer = { lr = nan }\n", "fit.optimizer.lr must be a finite number. Got nan"),
        (BASE + "optimizer = { lr = true }\n", "fit.optimizer.lr must be a number. Got true"),
        (BASE + "optimizer = { name = 'adam', beta1 = 1 }\n", "fit.optimizer.beta1 must be less than 1. Got 1"),
        (BASE + "schedule = { name = 'steps', at = [0.5, 2] }\n", "fit.schedule.at[1] must be less than 1. Got 2"),
        (BASE + "select = 'acuracy'\n", "Got 'acuracy'; did you mean 'accuracy'?"),
        (
            BASE + "loss = { name = 'cross-entropy', label_smoothing = 1 }\n",
            "fit.loss.label_smoothing must be less than 1. Got 1",
        ),
        (BASE + "early_stopping = true\n", "fit.early_stopping must be a table. Got true"),
        (
            BASE + "class_weights = 'balance'\n",
            "fit.class_weights must be 'none' or 'balanced', or a table. Got 'bal",
        ),
        (BASE + "class_weights = 3\n", "fit.class_weights must be 'none' or 'balanced', or a table. Got 3"),
        (BASE + "class_weights = { cat = -1 }\n", "fit.class_weights.cat must be greater than 0. Got -1"),
        (BASE + "class_weights = { cat = '1' }\n", "fit.class_weights.cat must be a number. Got '1'"),
        (BASE + "[preprocess]\ndivisor = 'rnge'\n", "Got 'rnge'; did you mean 'range'?"),
        (BASE + "[preprocess]\ndivisor = -3\n", "preprocess.divisor must be greater than 0. Got -3"),
        (BASE + "[preprocess]\ndivisor = true\n", "preprocess.divisor must be a number, or 'range'. Got true"),
        (BASE + "[preprocess]\nsize = 28\n", "preprocess.size must be an array. Got 28"),
        (BASE + "[preprocess]\nsize = []\n", "preprocess.size must have 2 values. Got []"),
        (BASE + "[preprocess]\nsize = [28]\n", "preprocess.size must have 2 values. Got [28]"),
        (BASE + "[preprocess]\nsize = [1, 2, 3]\n", "preprocess.size must have 2 values. Got [1, 2, 3]"),
        (BASE + "[preprocess]\nsize = [28, 0]\n", "preprocess.size[1] must be greater than or equal to 1. Got 0"),
        (BASE + "[split]\ntest = 1\n", "split.test must be less than 1. Got 1"),
        (BASE + "[network]\nname = 'mlp'\nhidden = [3, 'x']\n", "network.hidden[1] must be an integer. Got 'x'"),
        ('dataset = "a"\nfit = 3\n', "fit must be a table. Got 3"),
        ('dataset = "a"\nfit = "fast"\n', "fit must be a table. Got 'fast'"),
        ('dataset = "a"\n[[fit]]\nepochs = 1\n', "fit must be a table. Got [{'epochs': 1}]"),
        ("dataset = ['a']\n[fit]\nepochs = 1\n", "dataset must be a string. Got ['a']"),
        ("seed = -1\n" + BASE, "seed must be greater than or equal to 0. Got -1"),
        ("seed = 2147483648\n" + BASE, "seed must be less than 2147483648"),
        ("seed = 1e3\n" + BASE, "seed must be an integer. Got 1000.0"),
        ('dataset = "a"\n', "'fit' is missing"),
        ("[fit]\nepochs = 1\n", "'dataset' is missing"),
    ],
)
def test_wrong_values(mistakes, text, sentence):
    (line,) = mistakes(text)
    assert sentence in line


def test_all_mistakes_at_once(mistakes):
    lines = mistakes(
        "sed = 1\n[fit]\nepochs = '3'\noptimizer = { name = 'adam', lr = 0 }\nschedule = { name = 'cosin' }\n"
        "[network]\nname = 'mlp'\nhiden = [3]\n[split]\nvalidation = -1\n"
    )
    text = "\n".join(lines)
    keys = ("'dataset'", "'sed'", "fit.epochs", "fit.optimizer.lr", "fit.schedule.name", "'network.hiden'")
    for key in (*keys, "split.validation"):
        assert key in text
    assert len(lines) == 7


def test_no_word_of_pydantic_reaches_the_user(mistakes):
    """Its names for the arms of a union are not keys that anybody wrote."""
    lines = mistakes(
        'dataset = "a"\n[fit]\nclass_weights = { a = "x" }\noptimizer = { lr = "x" }\n'
        'schedule = { name = "cosine", warmup = "x" }\n[preprocess]\ndivisor = []\n'
        '[network]\nname = "mlp"\nhidden = 1\n'
    )
    for line in lines:
        key = line.split(" must ")[0]
        assert re.fullmatch(r"[a-z_0-9]+(\.[a-z_0-9]+)*", key), line
    assert not re.search(r"constrained|literal|input should|tuple|\bsgd\b|\bmlp\b", "\n".join(lines))


@pytest.mark.parametrize("lengths", ["", "epochs = 1\niterations = 10\n"])
def test_one_length(mistakes, lengths):
    (line,) = mistakes(f'dataset = "a"\n[fit]\n{lengths}')
    assert line.startswith("fit: give exactly one of epochs and iterations. Got epochs = ")


def test_early_stopping_needs_a_validation_part(mistakes, load):
    text = BASE + "early_stopping = {}\n[split]\nvalidation = 0\n"
    (line,) = mistakes(text)
    assert line.startswith("fit.early_stopping needs a validation part: set split.validation above 0")
    assert load(text, "split.validation=0.2").fit.early_stopping.patience == 10


# The file


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'dataset = "digits\n', "is not valid TOML: "),
        (b"a = 1\na = 2\n", "is not valid TOML: "),
        (b"a = " + b"1" * 5000, "is not valid TOML: "),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b'title = "\xe9"\n', "is not text in UTF-8"),
        (b"\x80PNG", "is not text in UTF-8"),
    ],
)
def test_not_toml(tmp_path, content, words):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=words) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


def test_a_syntax_error_names_its_line(write):
    with pytest.raises(RecipeError, match="line 2"):
        load_recipe(write("title = 'x'\ndataset 'digits'\n"))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(RecipeError, match=r"There is no file .*none\.toml"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="is a folder"):
        load_recipe(tmp_path)


# --set


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("seed=7", "seed", 7),
        (" seed = 7 ", "seed", 7),
        ("fit.batch_size=8", "fit.batch_size", 8),
        ("fit.optimizer.lr=1e-3", "fit.optimizer.lr", 0.001),
        ("fit.optimizer.lr=1", "fit.optimizer.lr", 1.0),
        ("title=plain words, no quotes", "title", "plain words, no quotes"),
        ('title="in quotes"', "title", "in quotes"),
        ("title=a=b", "title", "a=b"),
        ('title=""', "title", ""),
        ("title=7th try", "title", "7th try"),
        ("title=1\nseed = 5", "title", "1\nseed = 5"),
        ("preprocess.size=[8, 9]", "preprocess.size", [8, 9]),
        ("preprocess.standardise=true", "preprocess.standardise", True),
        ("fit.class_weights=balanced", "fit.class_weights", "balanced"),
        ('fit.class_weights={a = 1, "b.c" = 2}', "fit.class_weights.b.c", 2.0),
        ("fit.early_stopping.patience=2", "fit.early_stopping.patience", 2),
        ("fit.loss.label_smoothing=0.1", "fit.loss.label_smoothing", 0.1),
        ("fit.loss.name=focal", "fit.loss.gamma", 2.0),
        ("root=/data/my images", "root", "/data/my images"),
    ],
)
def test_set(load, setting, key, value):
    assert {**load(BASE, setting).choices(), **load(BASE, setting).model_dump()}[key] == value


def test_a_string_is_not_taken_for_a_number(mistakes):
    assert mistakes(BASE, "seed=three") == ["seed must be an integer. Got 'three'"]
    assert mistakes(BASE, 'seed="3"') == ["seed must be an integer. Got '3'"]


def test_mistakes_of_file_and_settings_together(mistakes):
    lines = mistakes(BASE + "epoch = 1\n", "sed=3", "fit.optimizer.lr=fast")
    assert len(lines) == 3


@pytest.mark.parametrize("setting", ["", "seed", "=3", ".=3", "fit.=3", "fit..lr=3", "=", "fit .  = 1"])
def test_set_bad_syntax(load, setting):
    with pytest.raises(RecipeError, match=r"--set wants key=value, for example fit\.epochs=3\. Got"):
        load(BASE, setting)


def test_set_to_nothing_leaves_out(load):
    text = BASE + 'transfer = { name = "features" }\n[network]\nname = "squeezenet1.1"\nweights = "gluoncv"\n'
    recipe = load(text, "network.weights=", "fit.transfer= ")
    assert recipe.network.weights is None and recipe.fit.transfer is None
    for absent in ("network.wieghts", "fit.early_stopping.patience", "fit.epochs.more"):
        with pytest.raises(
            RecipeError, match=f"--set {absent}=: the recipe has no {absent} that could be left out"
        ):
            load(text, f"{absent}=")


def test_set_below_a_value(load):
    with pytest.raises(RecipeError, match=r"fit\.epochs is a value, not a table, in this recipe\. Got 1"):
        load(BASE, "fit.epochs.more=3")


def test_set_name_replaces_the_table(load):
    text = BASE + "optimizer = { name = 'sgd', lr = 0.5, momentum = 0.3 }\n[network]\nname = 'lenet'\nfc1 = 9\n"
    recipe = load(text, "network.name=mlp", "fit.optimizer.name=adam", "fit.schedule.name=cosine")
    assert recipe.network == MLP()
    assert recipe.fit.optimizer == Adam()
    assert recipe.fit.schedule == Cosine()
    assert load(text, "network={name='mlp', hidden=[3]}").network == MLP(hidden=(3,))


@pytest.mark.parametrize("text", [BASE, BASE + "[network]\nfc1 = 9\n", BASE + "[network]\nname='lenet'\nfc1 = 9\n"])
def test_set_the_same_name_changes_nothing(load, text):
    settings = ("network.name=lenet", "fit.optimizer.name=sgd", "fit.schedule.name=constant")
    assert load(text, *settings) == load(text)


def test_set_one_value_of_the_default_optimizer_leaves_the_others(load):
    assert load(BASE, "fit.optimizer.lr=0.5").fit.optimizer == SGD(lr=0.5, momentum=0.9)


def test_set_in_any_order(load):
    settings = ["network.hidden=[5]", "network.name=mlp", "fit.schedule.warmup=2", "fit={iterations=9}"]
    expected = load(BASE, *settings)
    assert expected.network == MLP(hidden=(5,))
    assert (expected.fit.iterations, expected.fit.schedule.warmup) == (9, 2)
    for order in (settings[::-1], settings[1:] + settings[:1], settings[2:] + settings[:2]):
        assert load(BASE, *order) == expected


def test_set_the_name_of_no_choice_clears_nothing(mistakes, load):
    assert mistakes(BASE, "split.name=x", "split.test=0.3")[0].startswith("unknown key 'split.name'")


def test_set_one_length_drops_the_other(load):
    by_iterations = load(BASE, "fit.iterations=50").fit
    assert (by_iterations.epochs, by_iterations.iterations) == (None, 50)
    by_epochs = load("dataset='a'\n[fit]\niterations=50\n", "fit.epochs=2").fit
    assert (by_epochs.epochs, by_epochs.iterations) == (2, None)
    for order in (["fit.epochs=2", "fit.iterations=5"], ["fit.iterations=5", "fit.epochs=2"]):
        with pytest.raises(RecipeError, match=r"both fit\.epochs and fit\.iterations"):
            load(BASE, *order)


def test_the_last_of_two_settings_counts(load):
    assert load(BASE, "seed=1", "seed=2").seed == 2


def test_set_builds_the_tables_it_needs(load):
    assert load("dataset='a'\n", "fit.epochs=3", "fit.optimizer.lr=0.2").fit.optimizer == SGD(lr=0.2, momentum=0.9)


def test_set_takes_what_the_shell_gives(mistakes):
    """Bytes that are not UTF-8 come as lone surrogates."""
    assert mistakes(BASE, "title=\udcff") == ["a value of --set is not text in UTF-8"]


# Writing and comparing


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_toml_round_trip(path, write):
    recipe = load_recipe(path)
    again = load_recipe(write(recipe.to_toml()))
    assert again == recipe
    assert again.digest() == recipe.digest()
    assert again.to_toml() == recipe.to_toml()


def test_round_trip_of_what_is_awkward(load, write):
    recipe = load(
        'title = "a \\"b\\" ü\\n"\nroot = "C:\\\\x"\n' + BASE + "class_weights = { 'a.b' = 1, 'ü \"' = 0.1 }\n"
        "optimizer = { name = 'adam', epsilon = 1e-12 }\nearly_stopping = {}\n[preprocess]\nsize = [3, 4]\n"
    )
    assert load_recipe(write(recipe.to_toml())) == recipe


def test_title_and_root_are_no_choices(load):
    assert load(BASE, "title=x", "root=/y").digest() == load().digest()
    assert not {"title", "root"} & set(load().choices())


@pytest.mark.parametrize(
    "setting",
    [
        "dataset=mnist",
        "seed=1",
        "network.fc1=501",
        "network.name=mlp",
        "preprocess.size=[28, 28]",
        "preprocess.divisor=256",
        "split.seed=1",
        "split.validation=0.2",
        "fit.epochs=2",
        "fit.iterations=1",
        "fit.optimizer.momentum=0.8",
        "fit.schedule.warmup=1",
        "fit.early_stopping={}",
        "fit.class_weights=balanced",
        "fit.class_weights={}",
        "fit.sampling=balanced",
        "fit.loss.label_smoothing=0.1",
        "fit.loss.name=focal",
        "augment.mix.name=mixup",
        "augment.steps=[{name='turn'}]",
        "augment.mix={name='mixup', alpha=0.3}",
    ],
)
def test_every_other_choice_changes_the_digest(load, setting):
    assert load(BASE, setting).digest() != load().digest()
    assert load(BASE, setting).choices() != load().choices()


def test_digest_does_not_depend_on_how_it_is_written(load):
    assert load(BASE + "batch_size = 64\n[split]\nvalidation = 0.10\n").digest() == load().digest()
    assert re.fullmatch("[0-9a-f]{64}", load().digest())
