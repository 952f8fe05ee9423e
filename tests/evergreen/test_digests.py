import pandas as pd
import pytest

from evergreen.digests import digest_file, digest_frame, digest_json

FRAME = pd.DataFrame({"id": ["a", "b"], "x": [1.0, None]})


def test_the_order_of_keys_does_not_count():
    assert digest_json({"a": 1, "b": [2, None]}) == digest_json({"b": [2, None], "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"b": 1}, {"a": [1]}, {}, {"a": 1, "b": None}])
def test_other_json_has_another_digest(other):
    assert digest_json({"a": 1}) != digest_json(other)


def test_digests_stay_what_they_were():
    """Ledgers of earlier releases are checked against these: a changed digest would break every chain."""
    assert digest_json({"a": 1, "b": [True, None]}) == "1cc69c7fa23616ca"


def test_the_index_of_a_frame_does_not_count():
    assert digest_frame(FRAME) == digest_frame(FRAME.set_index(pd.Index([7, 9])))


@pytest.mark.parametrize(
    "other",
    [
        FRAME.iloc[::-1],
        FRAME.assign(x=[1.0, 0.0]),
        FRAME.assign(x=[1, 2]),
        FRAME.rename(columns={"x": "y"}),
        FRAME.iloc[:1],
        FRAME.iloc[:, ::-1],
    ],
    ids=["rows in another order", "a value", "a type", "a name", "fewer rows", "columns in another order"],
)
def test_another_frame_has_another_digest(other):
    assert digest_frame(FRAME) != digest_frame(other)


def test_a_files_digest_is_its_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert digest_file(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
