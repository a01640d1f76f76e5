import json

from benchmarks import report


def test_a_pipe_gets_every_number_and_name_in_full(capsys, tmp_path):
    spread = report.Spread.of([1234.5, 1200.25, 1300.75])
    row = {"case": "diagonal_bilstm h=128 12 layers 3x32x32", "GFLOP": 51.54}
    row |= {f"a long heading {number}": spread for number in range(6)}
    report.finish("One training step", [row, {"case": "other"}], tmp_path / "out.json")
    said = capsys.readouterr().out
    assert said.count("1234.50 (1200.25..1300.75)") == 6
    assert all(name in said for name in (row["case"], *row, "other"))
    assert json.loads((tmp_path / "out.json").read_text())["rows"][0]["GFLOP"] == 51.54


def test_candidates_take_turns_and_the_first_turn_is_not_measured():
    called = []
    candidates = {name: lambda name=name: called.append(name) for name in "ab"}
    times = report.interleave(candidates, 2)
    assert called == list("ababab")
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}
