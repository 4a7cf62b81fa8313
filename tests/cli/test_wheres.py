import pytest

from isthmus._errors import InvalidParameterError
from isthmus.cli.wheres import read_where


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        (None, None),
        ([], None),
        (["year=1993"], {"year": 1993}),
        (["year>=1990", "year<2000"], {"year": {">=": 1990, "<": 2000}}),
        (["group=sci.space", "seen=true"], {"group": "sci.space", "seen": True}),
        (['language=["de","en"]'], {"language": ["de", "en"]}),
        (["a = b=c"], {"a": "b=c"}),
        (['year="1993"'], {"year": "1993"}),
        (["gone=null"], {"gone": None}),
        (["x<=-1.5"], {"x": {"<=": -1.5}}),
        (["empty="], {"empty": ""}),
    ],
)
def test_filters(texts, where):
    assert read_where(texts) == where


@pytest.mark.parametrize("texts", [["year"], ["=3"], ["year=1", "year=2"], ["a<1", "a<2"]])
def test_what_is_no_filter(texts):
    with pytest.raises(InvalidParameterError, match="--where"):
        read_where(texts)
