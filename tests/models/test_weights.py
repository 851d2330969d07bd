import pytest

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models import KNOWN, available, find, models_dir, pull
from rlm_dspy.models.weights import canonical, known

BIG = "qwen2.5-coder-1.5b"
SMALL = "qwen2.5-coder-0.5b"


def hub_folder(tmp_path, repo):
    return tmp_path / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots" / "abc"


@pytest.mark.parametrize("weights", KNOWN, ids=lambda weights: weights.name)
def test_a_known_model_is_found_in_the_models_folder(weights, weights_file):
    path = weights_file(weights.name)
    assert find(weights.name) == find(f"local/{weights.name}") == path
    assert find(weights.name.upper()) == path
    assert known(f"local/{weights.name}") is weights


def test_then_in_the_hub_cache(weights_file, tmp_path):
    folder = hub_folder(tmp_path, "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF")
    cached = weights_file(SMALL, folder)
    assert find(SMALL) == cached
    own = weights_file(SMALL)
    assert find(SMALL) == own


def test_a_file_of_another_size_does_not_answer_under_the_name(weights_file):
    weights_file(SMALL, size=1000)
    with pytest.raises(ConfigurationError, match=f"rlm models pull {SMALL}"):
        find(SMALL)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (SMALL, r"491 MB\), or set RLM_MODELS_DIR"),
        ("no-such-model", "it is none of smollm2-135m"),
        ("no-such.gguf", "no GGUF file"),
        ("owner/repo:file.gguf", "rlm models pull owner/repo:file.gguf"),
        ("../../etc/passwd", "no GGUF file"),
    ],
)
def test_an_absent_model_is_an_error_that_says_what_to_do(name, says):
    with pytest.raises(ConfigurationError, match=says):
        find(name)


def test_other_files_are_found_by_name_and_by_path(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    mine = folder / "mine.gguf"
    mine.write_bytes(b"GGUF")
    assert find("mine") == find("mine.gguf") == find(f"local/{mine}") == mine
    here = tmp_path / "here.gguf"
    here.write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    assert find("here.gguf") == find("./here.gguf") == here


def test_a_repository_and_file_are_found_in_the_hub_cache(tmp_path):
    folder = hub_folder(tmp_path, "owner/repo")
    folder.mkdir(parents=True)
    (folder / "file.gguf").write_bytes(b"GGUF")
    assert find("owner/repo:file.gguf") == folder / "file.gguf"


def test_the_biggest_model_present_answers_for_the_bare_name(weights_file):
    weights_file(SMALL)
    assert find("local") == find("") == find(SMALL)
    weights_file(BIG)
    assert find("local") == find(BIG)
    assert canonical("local") == f"local/{BIG}"
    assert canonical(f"local/{SMALL}") == f"local/{SMALL}"


def test_what_is_available_is_listed_biggest_first(weights_file, tmp_path):
    weights_file(SMALL)
    weights_file(BIG)
    (tmp_path / "models" / "mine.gguf").write_bytes(b"GGUF")
    names = [name for name, _ in available()]
    assert names[:2] == [BIG, SMALL]
    assert names[-1] == "mine"
    assert len(names) == len(set(names))


def test_the_models_folder_follows_its_variables(monkeypatch, tmp_path):
    assert models_dir() == tmp_path / "models"
    monkeypatch.delenv("RLM_MODELS_DIR")
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    assert models_dir() == tmp_path / "cache" / "models"


def test_what_is_present_is_not_fetched(weights_file):
    path = weights_file(SMALL)
    told = []
    assert pull(SMALL, lambda *progress: told.append(progress)) == path
    assert told == []


@pytest.mark.parametrize("name", ["no-such-model", "owner/repo", "owner/repo:file.bin", ""])
def test_what_cannot_be_fetched_is_refused_without_asking(name):
    with pytest.raises(ConfigurationError, match="not a model that can be fetched"):
        pull(name)
