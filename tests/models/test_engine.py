import pytest

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.assembly import Job, Stopped
from rlm_dspy.models.engine import Engine, close_engines, engine_for, loaded_engine
from rlm_dspy.models.llama import usable_cores


@pytest.mark.parametrize("content", [b"", b"GG", b"not a model", b"\x00" * 100])
def test_another_kind_of_file_is_refused(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not a GGUF file"):
        Engine(path).start()


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        Engine(tmp_path / "x.gguf").submit(Job({}))


def test_a_broken_file_is_refused_quietly(tmp_path, smol, capfd):
    path = tmp_path / "half.gguf"
    with smol.open("rb") as file:
        path.write_bytes(file.read(5_000_000))
    with pytest.raises(ConfigurationError, match="Is the file whole"):
        Engine(path).start()
    assert capfd.readouterr() == ("", "")


def test_one_engine_a_file_and_window(tmp_path):
    one = engine_for(tmp_path / "a.gguf")
    try:
        assert engine_for(tmp_path / "a.gguf") is one
        assert engine_for(tmp_path / "b.gguf") is not one
        assert engine_for(tmp_path / "a.gguf", 1024) is not one
        assert loaded_engine(tmp_path / "a.gguf") is None
    finally:
        close_engines()
    assert engine_for(tmp_path / "a.gguf") is not one
    close_engines()


def test_a_closed_engine_takes_nothing(tmp_path):
    engine = Engine(tmp_path / "a.gguf")
    engine.close()
    engine.close()
    with pytest.raises(Stopped):
        engine.submit(Job({}))


def test_at_least_one_core_is_usable():
    assert usable_cores() >= 1
