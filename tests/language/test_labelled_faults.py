"""Labels that do not fit: each refusal names the file, the place and the member, and says the mend."""

import numpy as np
import pytest
from data_files import ARCS, NODES, n, read_over, read_set, refusal, write

from bileveldsl.language.data import LabelledAxis


@pytest.mark.parametrize(
    ("code", "arity", "text", "says"),
    [
        ("E406", 2, "a,1\nb,2\n", ["row 1", '"1" is a number']),
        ("E407", 1, "S,T\na,b\nc\n", ["row 3"]),
        ("E410", 1, "", ["is empty"]),
        ("E413", 1, "S,S\na,b\n", ['two columns "S"']),
        ("E416", 1, "S\na\nb\na\nb\n", ['holds "a" twice: row 2 and row 4', "2 rows"]),
        ("E416", 2, "i,j\na,b\nb,a\na , b\n", ['holds ("a", "b") twice: row 2 and row 4']),
        ("E416", 1, "1\n1\n", ["holds 1 twice: row 1 and row 2"]),
        ("E417", 1, "S\na\n  \nb\n", ['row 3, column "S"', "empty text"]),
        ("E417", 1, "S\n1\n2.0\n", ['row 3, column "S"', "the number 2.0"]),
        ("E417", 2, ",j\n1,2\n1e3,2\n", ["row 3, column 1", "the number 1000.0"]),
        ("E420", 2, "S\na\n", ["has 1 column", "2 labels"]),
    ],
)
def test_csv_sets_at_fault(tmp_path, code, arity, text, says):
    write(tmp_path, "a.csv", text)
    refusal(code, lambda: read_set(tmp_path, "a.csv", arity=arity), ['"a.csv"', *says])


@pytest.mark.parametrize(
    ("code", "arity", "text", "says"),
    [
        ("E404", None, '{"T": []}', ['no key "S"']),
        ("E404", None, '{"S": {"a": []}}', ["an object", "not a list"]),
        ("E404", None, '"abc"', ['the text "abc"', "not a list"]),
        ("E416", None, '["a", "b", "a"]', ['holds "a" twice: at [0] and at [2]']),
        ("E416", None, '[1, "1"]', ['holds "1" twice']),
        ("E416", 2, '[["a", 1], ["a", 1]]', ['("a", 1)', "at [0] and at [1]"]),
        ("E417", None, '["a", 1.5]', ["at [1]: the number 1.5"]),
        ("E417", None, '["a", true]', ["at [1]", "bool"]),
        ("E417", None, '["a", null]', ["at [1]: a missing entry"]),
        ("E417", None, '["a", ""]', ["at [1]: empty text"]),
        ("E417", 1, '[["a", "b"]]', ["at [0]: a list"]),
        ("E417", None, '[["a", 1], ["b", {}]]', ["at [1, 1]: an object"]),
        ("E420", None, '[["a", "b"], ["c"]]', ["a list of 1 at [1]", "2 labels"]),
        ("E420", 2, '["a"]', ['the text "a" at [0]', "2 labels"]),
    ],
)
def test_json_sets_at_fault(tmp_path, code, arity, text, says):
    write(tmp_path, "a.json", text)
    refusal(code, lambda: read_set(tmp_path, "a.json", arity=arity), ['"a.json"', *says])


def test_keys_of_sets(tmp_path):
    write(tmp_path, "a.csv", "tail,head\na,b\n")
    assert 'did you mean "tail"?' in refusal("E404", lambda: read_set(tmp_path, "a.csv", "tial"), ["a.csv"]).help
    refusal("E404", lambda: read_set(tmp_path, "a.csv", "tail", "x"), ["a.csv"])
    refusal("E420", lambda: read_set(tmp_path, "a.csv", "tail", arity=2), ['"a.csv"["tail"]', "one column"])
    write(tmp_path, "b.csv", "1,2\n")
    refusal("E404", lambda: read_set(tmp_path, "b.csv", "tail"), ["no header row"])
    np.savez(tmp_path / "a.npz", S=np.array([1, 2]))
    refusal("E403", lambda: read_set(tmp_path, "a.npz"), ["a.npz", "no labels"])
    refusal("E401", lambda: read_set(tmp_path, "c.csv"), ["c.csv"])


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        ("E406", "i,j,cost\na,b,1\na,c,2\nb,c,three\n", ['row 4, column "cost"', '"three"']),
        ("E406", "i,j,cost\na,b,1\na,c,\nb,c,3\n", ['row 3, column "cost"', "empty"]),
        ("E406", "a,b,1\na,c,2\nb,c,3\n", ["row 1", '"1" is a number']),
        ("E407", "i,j,cost\na,b,1\na,c\nb,c,3\n", ["row 3"]),
        ("E408", "i,j,cost\na,b,1\na,c,2\nb,c,nan\n", ['row 4, column "cost"', "NaN"]),
        ("E416", "i,j,cost\na,b,1\na,b,2\nb,c,3\n", ['holds cost["a", "b"] twice: row 2 and row 3']),
        ("E416", "i,j,cost\na,b,1\na,c,2\nb,c,3\nb,c,3\nb,c,3\n", ["row 4 and row 5", "2 rows"]),
        ("E417", "i,j,cost\na,b,1\na,,2\nb,c,3\n", ['row 3, column "j"', "empty text"]),
        ("E418", "i,j,cost\na,b,1\na,c,2\nc,b,3\n", ['("c", "b") (row 4) is not in ARCS']),
        ("E418", "i,j,cost\na,x,1\na,c,2\nb,x,3\nx,x,3\nx,y,3\n", ['("a", "x") (row 2), ("b", "x") (row 4)', "1 more"]),
        ("E419", "i,j,cost\na,b,1\nb,c,3\n", ['has no value for cost["a", "c"]']),
        ("E419", "i,j,cost\n", ['cost["a", "b"], cost["b", "c"], cost["a", "c"]']),
        ("E420", "i,cost\na,1\n", ["has 2 columns", "2 columns of labels"]),
    ],
)
def test_csv_rows_at_fault(tmp_path, code, text, says):
    write(tmp_path, "a.csv", text)
    refusal(code, lambda: read_over([ARCS], tmp_path, "a.csv"), ['"a.csv"', *says])


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        ("E404", '{"price": 1}', ['no key "cost"']),
        ("E405", "3", ["0 dimensions"]),
        ("E406", '{"cost": {"a": {"b": "1", "c": 2}, "b": {"c": 3}}}', ['text "1"', 'at ["a"]["b"] where a number']),
        ("E406", '[["a", "b", 1], ["a", "c", null]]', ["null at [1, 2]"]),
        ("E408", '[["a", "b", 1], ["a", "c", NaN], ["b", "c", NaN]]', ["NaN at [1, 2]", "2 entries"]),
        ("E408", '{"cost": {"a": {"b": 1, "c": Infinity}}}', ['infinity at ["a"]["c"]']),
        ("E414", '[["a", "b", 9007199254740993]]', ["at [0, 2]"]),
        ("E416", '[["a", "b", 1], ["a", "c", 2], ["a", "b", 1]]', ['cost["a", "b"] twice: at [0] and at [2]']),
        ("E417", '[["a", "b", 1], ["a", 1.5, 2]]', ["at [1, 1]: the number 1.5"]),
        ("E418", '{"cost": {"a": {"b": 1, "c": 2}, "b": {"x": 3}}}', ['("b", "x") (at ["b"]["x"]) is not in ARCS']),
        ("E419", '{"cost": {"a": {"b": 1, "c": 2}}}', ['has no value for cost["b", "c"]']),
        ("E419", "[]", ['cost["a", "b"]']),
        ("E420", '{"cost": {"a": {"b": 1}, "b": 2}}', ["the value 2", 'at ["b"] where labels of ARCS']),
        ("E420", '[["a", "b", 1], ["a", "c", 2, 3]]', ["a list of 4 at [1]", "2 labels and a value"]),
        ("E421", "[1, 2]", ["shape (2,)", "ARCS has size 3"]),
    ],
)
def test_json_values_at_fault(tmp_path, code, text, says):
    write(tmp_path, "a.json", text)
    refusal(code, lambda: read_over([ARCS], tmp_path, "a.json"), ['"a.json"', *says])


def test_the_mend_for_an_unknown_label(tmp_path):
    write(tmp_path, "a.csv", "city,v\nGeneva,1\nZurich,2\n")
    cities = LabelledAxis("CITIES", 1, ["Zürich", "Genève", *(f"town {k}" for k in range(20))])
    found = refusal("E418", lambda: read_over([cities], tmp_path, "a.csv"), ['"Geneva" (row 2)', '"Zurich" (row 3)'])
    assert found.help.startswith('did you mean "Genève"? CITIES has "Zürich"') and "and 14 more" in found.help
    empty = LabelledAxis("CITIES", 1, [])
    assert "no members" in refusal("E418", lambda: read_over([empty], tmp_path, "a.csv")).help
    write(tmp_path, "b.csv", "k,city,v\n2,Geneva,1\n")
    assert refusal("E418", lambda: read_over([n, cities], tmp_path, "b.csv")).help.endswith("n has 0, 1")


def test_names_from_files_cannot_write_to_the_terminal(tmp_path):
    write(tmp_path, "a.csv", "node,cost\n\x1b[31mred,1\n")
    found = refusal("E418", lambda: read_over([NODES], tmp_path, "a.csv"), ["\\x1b[31mred"])
    assert found.message.isprintable()
    red = LabelledAxis("S", 1, read_set(tmp_path, "a.csv"))
    write(tmp_path, "b.csv", "node,cost\n")
    assert refusal("E419", lambda: read_over([red], tmp_path, "b.csv")).message.isprintable()
