"""Whoever wants to know is told how far reading is."""

from rlm_dspy.context import Context, ReadOptions, in_place, progress


def test_files_and_bytes_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_STEP", 1 << 20)
    monkeypatch.setattr(in_place, "IN_PLACE_BYTES", 1 << 20)
    sizes = {"a.txt": 5, "b.bin": 7, "c.txt": 3 << 20}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes((b"\0" if name == "b.bin" else b"x") * size)
    (tmp_path / ".hidden").write_text("h")
    told: list[progress.ReadProgress] = []
    Context.from_path(tmp_path, ReadOptions(progress=told.append))
    whole = sum(sizes.values())
    assert {(each.of_files, each.of_size) for each in told} == {(3, whole)}
    assert (told[0].files, told[0].size) == (0, 0)
    assert (told[-1].files, told[-1].size) == (3, whole)
    counts = [(each.files, each.size) for each in told]
    assert counts == sorted(counts)
    assert [each.size for each in told if each.files == 2] == [
        12,
        *(12 + (n << 20) for n in (1, 2, 3)),
    ]
    assert told[-1].name == str(tmp_path / "c.txt")
